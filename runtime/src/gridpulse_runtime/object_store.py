"""The S3 server that holds the archive: its settings, and its objects as files to read."""

from urllib.parse import urlsplit

import pyarrow.fs as pafs
from pydantic import Field, SecretStr

from gridpulse_runtime.settings import HttpUrl, KafkaSettings, stop

__all__ = ["ObjectStoreSettings", "file_system"]

CONNECT_SECONDS = 10.0


class ObjectStoreSettings(KafkaSettings):
    """GRIDPULSE_S3_* variables, as every program that writes or reads the archive takes them."""

    s3_endpoint: HttpUrl = Field("http://127.0.0.1:9000", description="S3 server, http:// or https://")
    s3_access_key: str = Field("", description="access key; required")
    s3_secret_key: SecretStr | None = Field(None, description="secret key; required")
    s3_bucket: str = Field("gridpulse", min_length=3, max_length=63, description="bucket; made where missing and the key may")
    s3_region: str = Field("us-east-1", min_length=1, description="region the requests are signed for")
    s3_timeout: float = Field(20.0, gt=0, le=60, description="seconds a request may take without a byte moving")

    def credentials(self) -> tuple[str, str]:
        """Access and secret key. Exits with code 2 where one is missing: a required field would show other secrets."""
        if not self.s3_access_key:
            raise SystemExit(stop("GRIDPULSE_S3_ACCESS_KEY is not set"))
        if self.s3_secret_key is None or not self.s3_secret_key.get_secret_value():
            raise SystemExit(stop("GRIDPULSE_S3_SECRET_KEY is not set"))
        return self.s3_access_key, self.s3_secret_key.get_secret_value()


def file_system(settings: ObjectStoreSettings) -> pafs.FileSystem:
    """The server's objects as files, `bucket/name`, read by ranges. Asks nothing of it yet; exits with code 2 without keys."""
    address = urlsplit(settings.s3_endpoint)
    access, secret = settings.credentials()
    return pafs.S3FileSystem(
        access_key=access,
        secret_key=secret,
        region=settings.s3_region,
        scheme=address.scheme,
        endpoint_override=address.netloc,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=max(60.0, settings.s3_timeout),
        tls_ca_file_path=settings.https_ca(),
    )
