"""InfluxDB behind two calls: write lines, and say whether it answers."""

import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from gridpulse_influx_sink.settings import InfluxSinkSettings
from gridpulse_runtime.errors import RefusedError, UnavailableError

__all__ = ["Influx"]

log = structlog.get_logger(__name__)
REFUSALS = (400, 413, 422)
"""Unreadable line, too large a write, value of another type than the field has or point older than the bucket keeps."""
CHECK_SECONDS = 5.0
T = TypeVar("T")


class Influx:
    """One bucket of an InfluxDB 2. Making it asks nothing of the server, which may not be up yet."""

    def __init__(self, settings: InfluxSinkSettings) -> None:
        self._org = settings.influx_org
        self._bucket = settings.influx_bucket
        self._where = f"InfluxDB at {settings.influx_url} (GRIDPULSE_INFLUX_URL)"
        self._client = InfluxDBClient(
            settings.influx_url, token=settings.token(), org=self._org, timeout=int(settings.influx_timeout * 1000)
        )
        self._write_api = self._client.write_api(write_options=SYNCHRONOUS)
        self._checked_at = -CHECK_SECONDS
        self._verdict: str | None = None

    def write(self, lines: str) -> None:
        """Write points, times in ms. Raises RefusedError, UnavailableError; a missing bucket is made first."""
        try:
            self._try(lambda: self._write_api.write(self._bucket, self._org, lines, write_precision="ms"))
        except LookupError:
            self._make_bucket()
            raise UnavailableError(f"the bucket {self._bucket} was just made", 0.0) from None

    def check(self) -> str | None:
        """Why points cannot be written, None where they can; asked at most every five seconds, from any thread."""
        now = time.monotonic()
        if now - self._checked_at >= CHECK_SECONDS:
            self._checked_at = now
            try:
                self._try(lambda: self._client.buckets_api().find_buckets(name=self._bucket))
                self._verdict = None
            except LookupError:  # writing makes it
                self._verdict = None
            except (RefusedError, UnavailableError) as error:
                self._verdict = str(error)
        return self._verdict

    def _make_bucket(self) -> None:
        """Raises UnavailableError where the token or the server does not let us."""
        try:
            self._try(lambda: self._client.buckets_api().create_bucket(bucket_name=self._bucket, org=self._org))
        except (RefusedError, LookupError) as error:
            raise UnavailableError(f"{self._where} has no bucket {self._bucket}, and none could be made: {error}") from None
        log.info("bucket made", bucket=self._bucket, org=self._org)

    def _try(self, request: Callable[[], T]) -> T:
        """Make `request`. Raises RefusedError, UnavailableError, and LookupError where the bucket is missing."""
        try:
            return request()
        except ApiException as error:
            told = f"{error.status} {error.reason}: {_text(error.body)}"
            if error.status == 404 and "bucket" in told:
                raise LookupError(told) from None
            if error.status in REFUSALS:
                raise RefusedError(told) from None
            raise UnavailableError(f"{self._where} answers {told}", _retry_after(error)) from None
        except (HTTPError, OSError) as error:
            raise UnavailableError(f"{self._where} does not answer: {error}") from None


def _text(body: bytes | str | None) -> str:
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    return text[:300]


def _retry_after(error: ApiException) -> float | None:
    asked = (error.headers or {}).get("Retry-After", "")
    return float(asked) if asked.isdigit() else None
