"""Settings of the InfluxDB sink."""

from pydantic import Field, SecretStr

from gridpulse_runtime.settings import AppSettings, HttpUrl, stop

__all__ = ["InfluxSinkSettings"]


class InfluxSinkSettings(AppSettings):
    """GRIDPULSE_* variables that the InfluxDB sink reads."""

    commit_interval: float = Field(0.1, gt=0, le=300, description="seconds between checkpoints, so between writes")
    influx_url: HttpUrl = Field("http://127.0.0.1:8086", description="root of InfluxDB 2")
    influx_token: SecretStr | None = Field(None, description="token that may write to the bucket; required")
    influx_org: str = Field("gridpulse", min_length=1, description="organisation of the bucket")
    influx_bucket: str = Field("gridpulse", min_length=1, description="bucket; made where missing and the token may")
    influx_timeout: float = Field(10.0, gt=0, le=40, description="seconds a request may take")

    def token(self) -> str:
        """Token as text. Exits with code 2 where there is none: a required field would show other secrets in its error."""
        if self.influx_token is None or not self.influx_token.get_secret_value():
            raise SystemExit(stop("GRIDPULSE_INFLUX_TOKEN: not set; a token that may write to the bucket is needed"))
        return self.influx_token.get_secret_value()
