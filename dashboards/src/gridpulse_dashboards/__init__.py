"""Grafana dashboards of GridPulse, as code: one module a dashboard, `python -m gridpulse_dashboards` writes their JSON."""
