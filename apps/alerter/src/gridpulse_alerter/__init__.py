"""Delivers anomalies to webhooks, Alertmanager and Slack."""

import gridpulse_schemas  # noqa: F401  before quixstreams: imported first it keeps a notice of authlib off the screen
