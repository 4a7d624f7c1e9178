"""Meter: the readings of one meter around an anomaly."""

from grafana_foundation_sdk.builders import dashboard

from gridpulse_dashboards.operations import anomaly_table
from gridpulse_dashboards.parts import board, bounds, flux, flux_variable, lines, rows, steps, text_variable

__all__ = ["meter"]

KEPT = "no readings: they are kept around anomalies only, unless GRIDPULSE_INFLUX_READINGS=all"
THE_METER = "r.meter == ${meter:doublequote}"


def measured(*names: str, change: str = "") -> str:
    """Flux: measurements of the meter, means over what a pixel shows."""
    which = " or ".join(f'r._field == "{name}"' for name in names)
    return f"""
    from(bucket: v.defaultBucket)
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "readings" and {THE_METER} and ({which}))
    |> aggregateWindow(every: v.windowPeriod, fn: mean, createEmpty: false)
    {change}
    |> keep(columns: ["_time", "_value", "_field"])
    |> rename(columns: {{_field: "measured"}})
    """


def meter() -> dashboard.Dashboard:
    """Build the dashboard."""
    choose = flux_variable(
        "meter",
        "Meter",
        "A meter with readings in the shown time",
        """
        import "influxdata/influxdb/schema"
        schema.tagValues(bucket: v.defaultBucket, tag: "meter", predicate: (r) => r._measurement == "readings",
        start: v.timeRangeStart, stop: v.timeRangeStop)
        |> limit(n: 1000)
        """,
        several=False,
    )
    percent = "|> map(fn: (r) => ({r with _value: 100.0 * r._value / float(v: ${nominal})}))"
    status = f"""
    from(bucket: v.defaultBucket)
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "readings" and {THE_METER} and r._field == "status")
    |> keep(columns: ["_time", "_value"])
    |> sort(columns: ["_time"], desc: true)
    |> limit(n: 500)
    """
    table = rows(
        "Status flags",
        "Status of each reading, as a sum of bits: 1 equipment failure, 2 last gasp, 4 power restored, 8 tamper, 16 cover open, "
        "32 clock invalid, 64 estimated. Normal: 0. Others: see the anomaly that they opened.",
        flux(status),
        empty=KEPT,
        width=8,
        height=8,
    )
    return board(
        "meter",
        "Meter",
        "Readings of one meter around an anomaly. Reached from the assets of the Operations dashboard, with the time set.",
        [choose, text_variable("nominal", "Nominal voltage", "Nominal voltage line to neutral, V", "230")],
        [
            (
                "Anomalies",
                [
                    anomaly_table(
                        "Anomalies of this meter",
                        "What was found of this meter in the shown time, and why. Normal: none. gridpulse-detector explain ID judges "
                        "the evidence again.",
                        "r.asset == ${meter:doublequote}",
                    )
                ],
            ),
            (
                "Readings",
                [
                    lines(
                        "Voltage",
                        "Voltage of each phase, and its lowest and highest within an interval. Normal: within 10 % of nominal "
                        "(EN 50160). Below 90 %: sag or undervoltage; above 110 %: swell or overvoltage; one phase apart from the "
                        "others: a fault of the neutral.",
                        "volt",
                        flux(measured("voltage", "voltage_b", "voltage_c", "voltage_min", "voltage_max")),
                        called="measured",
                        empty=KEPT,
                    ),
                    lines(
                        "Voltage, % of nominal",
                        "The same in % of nominal, with the limits of the bands. Normal: 90 to 110 %. Outside: the anomaly above "
                        "says since when.",
                        "percent",
                        flux(measured("voltage", "voltage_min", "voltage_max", change=percent)),
                        called="measured",
                        limits=bounds(90, 110),
                        empty=KEPT,
                    ),
                    lines(
                        "Power",
                        "Active power (+ import, − export). Normal: the daily pattern of the household. Export where no generation "
                        "is registered: REVERSE_FLOW; a peak of a reading: SPIKE.",
                        "watt",
                        flux(measured("active_power")),
                        called="measured",
                        empty=KEPT,
                    ),
                    lines(
                        "Reactive power",
                        "Reactive power. Normal: small beside active power. Large: LOW_POWER_FACTOR, motors without compensation.",
                        "voltamperereact",
                        flux(measured("reactive_power")),
                        called="measured",
                        empty=KEPT,
                    ),
                    lines(
                        "Current",
                        "Current, sum of the phases. Normal: below the rated current of the connection. Zero with voltage there: "
                        "ZERO, or a customer away.",
                        "amp",
                        flux(measured("current")),
                        called="measured",
                        empty=KEPT,
                        width=8,
                    ),
                    lines(
                        "Frequency",
                        "Frequency at the meter. Normal: 49.5 to 50.5 Hz, the same at all meters. This one apart from the others: "
                        "a fault of the meter.",
                        "hertz",
                        flux(measured("frequency")),
                        called="measured",
                        limits=bounds(49.5, 50.5),
                        empty=KEPT,
                        width=8,
                    ),
                    lines(
                        "Total harmonic distortion",
                        "Distortion of the voltage. Normal: below 8 % (EN 50160). Above: a load with power electronics nearby.",
                        "percent",
                        flux(measured("thd")),
                        called="measured",
                        limits=steps((None, "green"), (8, "red")),
                        empty=KEPT,
                        width=8,
                    ),
                    lines(
                        "Temperature",
                        "Temperature of the device. Normal: below 70 °C. Above: OVER_TEMPERATURE, a loose terminal is the usual "
                        "cause; send a crew.",
                        "celsius",
                        flux(measured("temperature")),
                        called="measured",
                        limits=steps((None, "green"), (70, "red")),
                        empty=KEPT,
                        width=8,
                    ),
                    lines(
                        "Energy registers",
                        "Registers of imported and exported energy. Normal: they rise. Flat while power is drawn: STUCK; falling: "
                        "REGISTER_BACKWARDS, the meter was changed or tampered with.",
                        "watth",
                        flux(measured("energy_import", "energy_export")),
                        called="measured",
                        empty=KEPT,
                        width=8,
                    ),
                    table,
                ],
            ),
        ],
        sources=("influxdb",),
    )
