"""Rows of the matrix of values that the kernel reads: the signals, in the order of the schema."""

from gridpulse_detector.rules.moving_average import SIGNALS

__all__ = ["ACTIVE", "CURRENT", "FREQUENCY", "REACTIVE", "TEMPERATURE", "THD", "VOLTAGE_B", "VOLTAGE_C", "VOLTS"]

VOLTS = 5
"""The first rows: voltage, voltage_min, voltage_max, voltage_b, voltage_c."""
VOLTAGE_B, VOLTAGE_C = SIGNALS.index("voltage_b"), SIGNALS.index("voltage_c")
CURRENT, ACTIVE, REACTIVE = SIGNALS.index("current"), SIGNALS.index("active_power"), SIGNALS.index("reactive_power")
FREQUENCY, THD, TEMPERATURE = SIGNALS.index("frequency"), SIGNALS.index("thd"), SIGNALS.index("temperature")
