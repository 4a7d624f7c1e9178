"""Detector: judges readings against stateful windows; emits anomalies and rollups."""
