"""Writes anomalies and rollups to InfluxDB 2."""
