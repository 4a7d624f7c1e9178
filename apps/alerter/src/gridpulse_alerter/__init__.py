"""Delivers anomalies to webhooks."""
