"""Writes anomalies, rollups and readings to InfluxDB 2."""
