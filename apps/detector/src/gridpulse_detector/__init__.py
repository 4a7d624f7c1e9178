"""Detector: judges readings against stateful windows; emits anomalies and rollups."""

import gridpulse_runtime  # noqa: F401  before all else: see there
