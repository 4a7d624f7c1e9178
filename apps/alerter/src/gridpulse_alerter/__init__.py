"""Delivers anomalies to webhooks, Alertmanager and Slack."""

import gridpulse_runtime  # noqa: F401  before all else: see there
