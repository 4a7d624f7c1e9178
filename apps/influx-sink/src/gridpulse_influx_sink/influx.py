"""InfluxDB behind three calls: write lines, say whether it answers, and make the bucket where it is missing."""

import gzip
import re
import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlencode

import structlog
import urllib3
from influxdb_client import BucketRetentionRules, InfluxDBClient
from influxdb_client.rest import ApiException

from gridpulse_influx_sink.settings import InfluxSinkSettings
from gridpulse_runtime.errors import RefusedError, UnavailableError

__all__ = ["Influx"]

log = structlog.get_logger(__name__)
REFUSALS = (400, 413, 422)
"""Unreadable line, too large a write, value of another type than the field has."""
EXPIRED = re.compile(r"partial write: dropped (\d+) points outside retention policy")
"""All other points of that write are stored: a refusal for any other reason is told instead of this one."""
FASTEST = 1
"""gzip level: a sixth of the size for a tenth of what level 9 costs."""
CHECK_SECONDS = 5.0
THREADS = 4
"""That may write at once, each over a connection that is kept."""
T = TypeVar("T")


class Influx:
    """One bucket of an InfluxDB 2, for any thread. Making it asks nothing of the server, which may not be up yet."""

    def __init__(self, settings: InfluxSinkSettings) -> None:
        self._org = settings.influx_org
        self._bucket = settings.influx_bucket
        self._retention = settings.influx_retention
        self._where = f"InfluxDB at {settings.influx_url} (GRIDPULSE_INFLUX_URL)"
        ca = settings.https_ca()
        timeout_ms = int(settings.influx_timeout * 1000)
        self._client = InfluxDBClient(
            settings.influx_url, token=settings.token(), org=self._org, timeout=timeout_ms, ssl_ca_cert=ca
        )
        query = urlencode({"org": self._org, "bucket": self._bucket, "precision": "ms"})
        self._write_url = f"{settings.influx_url.rstrip('/')}/api/v2/write?{query}"
        self._headers = {
            "Authorization": f"Token {settings.token()}",
            "Content-Encoding": "gzip",
            "Content-Type": "text/plain; charset=utf-8",
        }
        self._pool = urllib3.PoolManager(maxsize=THREADS, timeout=settings.influx_timeout, retries=False, ca_certs=ca)
        self._checked_at = -CHECK_SECONDS
        self._verdict: str | None = None

    def write(self, lines: str) -> int:
        """Write points, times in ms; how many of them are older than the bucket keeps, which is all that becomes of those.

        Raises RefusedError, UnavailableError; a missing bucket is made first.
        """
        body = gzip.compress(lines.encode(), FASTEST, mtime=0)
        try:
            self._try(lambda: self._post(body))
        except LookupError:
            self._make_bucket()
            raise UnavailableError(f"the bucket {self._bucket} was just made", 0.0) from None
        except RefusedError as error:
            expired = EXPIRED.search(str(error))
            if expired is None:
                raise
            return int(expired[1])
        return 0

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

    def _post(self, body: bytes) -> None:
        """The client's own write costs a third more, and knows gzip at level 9 only."""
        response = self._pool.request("POST", self._write_url, body=body, headers=self._headers)
        if response.status >= 300:
            raise ApiException(http_resp=response)

    def _make_bucket(self) -> None:
        """Raises UnavailableError where the token or the server does not let us."""
        rules = [BucketRetentionRules(type="expire", every_seconds=self._retention)] if self._retention else []
        try:
            self._try(
                lambda: self._client.buckets_api().create_bucket(bucket_name=self._bucket, org=self._org, retention_rules=rules)
            )
        except (RefusedError, LookupError) as error:
            raise UnavailableError(f"{self._where} has no bucket {self._bucket}, and none could be made: {error}") from None
        log.info("bucket made", bucket=self._bucket, org=self._org, retention_seconds=self._retention or "for ever")

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
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnavailableError(f"{self._where} does not answer: {error}") from None


def _text(body: bytes | str | None) -> str:
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    return text[:300]


def _retry_after(error: ApiException) -> float | None:
    asked = (error.headers or {}).get("Retry-After", "")
    return float(asked) if asked.isdigit() else None
