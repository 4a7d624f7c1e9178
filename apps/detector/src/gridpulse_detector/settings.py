"""Settings of the detector."""

from pathlib import Path

from pydantic import Field

from gridpulse_runtime.settings import AppSettings

__all__ = ["DetectorSettings"]


class DetectorSettings(AppSettings):
    """GRIDPULSE_* variables that the detector reads."""

    commit_interval: float = Field(
        30.0, gt=0, le=300, description="seconds in which each feeder's state is written once; anomalies do not wait for it"
    )
    rules: Path | None = Field(None, description="path of rules.toml, followed while running; the packaged rules where not set")
