"""Writes anomalies, rollups and readings to InfluxDB 2."""

import gridpulse_runtime  # noqa: F401  before all else: see there
