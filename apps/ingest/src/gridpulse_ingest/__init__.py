"""Ingest: validates meter readings and forwards them as columnar batches."""

import gridpulse_runtime  # noqa: F401  before all else: see there
