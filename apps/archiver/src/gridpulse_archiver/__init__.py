"""Archiver: readings, anomalies and rollups as Parquet in an S3 bucket."""

import gridpulse_runtime  # noqa: F401  before all else: see there
