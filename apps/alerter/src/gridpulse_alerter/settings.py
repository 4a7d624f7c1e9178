"""Settings of the alerter."""

from pathlib import Path

from pydantic import Field, SecretStr

from gridpulse_runtime.settings import AppSettings

__all__ = ["AlerterSettings"]


class AlerterSettings(AppSettings):
    """GRIDPULSE_* variables that the alerter reads."""

    commit_interval: float = Field(1.0, gt=0, le=60, description="seconds between checkpoints; alerts do not wait for them")
    webhook_url: str = Field("", description="URLs that get every anomaly, comma separated")
    webhook_secret: SecretStr | None = Field(None, description="whsec_… that signs what WEBHOOK_URL gets")
    webhook_timeout: float = Field(5.0, gt=0, le=10, description="seconds a receiver may take to answer")
    webhook_allow_private: bool = Field(
        default=False, description="let receivers be at private, loopback or link-local addresses"
    )
    alerts: Path | None = Field(None, description="alerts.toml with receivers, routes and maintenance windows (docs/alerts.md)")
