"""Archiver: readings, anomalies and rollups as Parquet in an S3 bucket."""
