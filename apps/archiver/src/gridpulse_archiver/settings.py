"""Settings of the archiver."""

from pydantic import Field, SecretStr

from gridpulse_runtime.settings import AppSettings, HttpUrl, stop

__all__ = ["ArchiverSettings"]


class ArchiverSettings(AppSettings):
    """GRIDPULSE_* variables that the archiver reads."""

    archive_interval: float = Field(
        60.0, gt=0, le=240, description="longest time rows wait for their object, s (takes the place of COMMIT_INTERVAL)"
    )
    archive_rows: int = Field(1_000_000, ge=1, le=20_000_000, description="rows that are written without waiting: bounds memory")
    s3_endpoint: HttpUrl = Field("http://127.0.0.1:9000", description="S3 server, http:// or https://")
    s3_access_key: str = Field("", description="access key; required")
    s3_secret_key: SecretStr | None = Field(None, description="secret key; required")
    s3_bucket: str = Field("gridpulse", min_length=3, max_length=63, description="bucket; made where missing and the key may")
    s3_region: str = Field("us-east-1", min_length=1, description="region the requests are signed for")
    s3_timeout: float = Field(20.0, gt=0, le=60, description="seconds a request may take without a byte moving")

    def credentials(self) -> tuple[str, str]:
        """Access and secret key. Exits with code 2 where one is missing: a required field would show other secrets."""
        if not self.s3_access_key:
            raise SystemExit(stop("GRIDPULSE_S3_ACCESS_KEY: not set"))
        if self.s3_secret_key is None or not self.s3_secret_key.get_secret_value():
            raise SystemExit(stop("GRIDPULSE_S3_SECRET_KEY: not set"))
        return self.s3_access_key, self.s3_secret_key.get_secret_value()
