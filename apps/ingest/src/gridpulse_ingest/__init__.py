"""Ingest: validates meter readings and forwards them as columnar batches."""
