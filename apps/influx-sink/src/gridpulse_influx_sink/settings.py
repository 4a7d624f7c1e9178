"""Settings of the InfluxDB sink."""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr

from gridpulse_runtime.settings import AppSettings, HttpUrl, stop

__all__ = ["InfluxSinkSettings"]

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
SHORTEST = 3600
"""Seconds; InfluxDB keeps no bucket for less."""


def seconds(text: object) -> object:
    """Seconds of a duration as 30d, 52w or 12h; 0 is for ever. Raises ValueError."""
    found = re.fullmatch(r"(\d{1,9})([smhdw])?", str(text).strip())
    if found is None or (found[2] is None and int(found[1])):
        raise ValueError("expected a duration as 30d, 52w or 12h, or 0 for ever")
    length = int(found[1]) * UNITS[found[2] or "s"]
    if 0 < length < SHORTEST:
        raise ValueError("InfluxDB keeps points for an hour at least")
    return length


class InfluxSinkSettings(AppSettings):
    """GRIDPULSE_* variables that the InfluxDB sink reads."""

    commit_interval: float = Field(0.1, gt=0, le=300, description="seconds between checkpoints, so between writes")
    influx_url: HttpUrl = Field("http://127.0.0.1:8086", description="root of InfluxDB 2")
    influx_token: SecretStr | None = Field(None, description="token that may write to the bucket; required")
    influx_org: str = Field("gridpulse", min_length=1, description="organisation of the bucket")
    influx_bucket: str = Field("gridpulse", min_length=1, description="bucket; made where missing and the token may")
    influx_retention: Annotated[int, BeforeValidator(seconds)] = Field(
        "30d",
        validate_default=True,
        description="how long a bucket made here keeps points: 12h, 30d, 52w, or 0 for ever; an existing one is left as it is",
    )
    influx_timeout: float = Field(10.0, gt=0, le=40, description="seconds a request may take")
    influx_readings: Literal["around", "all", "none"] = Field(
        "around", description="which readings become points: those around anomalies, all or none"
    )
    influx_around: float = Field(
        300.0, gt=0, le=3600, description="seconds before and after an anomaly whose readings become points"
    )

    def token(self) -> str:
        """Token as text. Exits with code 2 where there is none: a required field would show other secrets in its error."""
        if self.influx_token is None or not self.influx_token.get_secret_value():
            raise SystemExit(stop("GRIDPULSE_INFLUX_TOKEN: not set; a token that may write to the bucket is needed"))
        return self.influx_token.get_secret_value()
