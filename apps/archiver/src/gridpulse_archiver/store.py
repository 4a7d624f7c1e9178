"""The S3 bucket behind two calls: put an object, and say whether it answers."""

import time
from collections.abc import Callable
from io import BytesIO
from typing import TypeVar
from urllib.parse import urlsplit

import structlog
import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from gridpulse_archiver.settings import ArchiverSettings
from gridpulse_runtime.errors import UnavailableError

__all__ = ["Bucket"]

log = structlog.get_logger(__name__)
CHECK_SECONDS = 5.0
ONE_PART = 64 * 1024 * 1024
"""Objects up to this size go up in one request; either way an object appears whole or not at all."""
MADE_MEANWHILE = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")
T = TypeVar("T")


class Bucket:
    """One bucket of an S3 server. Making it asks nothing of the server, which may not be up yet."""

    def __init__(self, settings: ArchiverSettings) -> None:
        self._name = settings.s3_bucket
        self._region = settings.s3_region
        self._where = f"the S3 server at {settings.s3_endpoint} (GRIDPULSE_S3_ENDPOINT)"
        address = urlsplit(settings.s3_endpoint)
        access, secret = settings.credentials()
        self._client = Minio(
            address.netloc,
            access_key=access,
            secret_key=secret,
            secure=address.scheme == "https",
            region=settings.s3_region,
            http_client=urllib3.PoolManager(timeout=settings.s3_timeout, retries=False),
        )
        self._checked_at = -CHECK_SECONDS
        self._verdict: str | None = None

    def put(self, name: str, content: bytes) -> None:
        """Store `content`, replacing what is there; a missing bucket is made. Raises UnavailableError."""
        try:
            self._put(name, content)
        except LookupError:
            self._make()
            try:
                self._put(name, content)
            except LookupError as error:
                raise UnavailableError(f"{self._where} does not show the bucket it just made: {error}") from None

    def check(self) -> str | None:
        """Why objects cannot be stored, None where they can; asked at most every five seconds, from any thread."""
        now = time.monotonic()
        if now - self._checked_at >= CHECK_SECONDS:
            self._checked_at = now
            try:
                self._try(lambda: self._client.bucket_exists(self._name))  # a missing one is made by the first put
                self._verdict = None
            except (UnavailableError, LookupError) as error:
                self._verdict = str(error)
        return self._verdict

    def _put(self, name: str, content: bytes) -> None:
        part = 0 if len(content) > ONE_PART else ONE_PART
        self._try(lambda: self._client.put_object(self._name, name, BytesIO(content), len(content), part_size=part))

    def _make(self) -> None:
        try:
            self._client.make_bucket(self._name, location=self._region)
        except S3Error as error:
            if error.code not in MADE_MEANWHILE:
                raise UnavailableError(f"{self._where} has no bucket {self._name} and makes none: {error.code}") from None
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            raise UnavailableError(f"{self._where} does not answer: {error}") from None
        else:
            log.info("bucket made", bucket=self._name)

    def _try(self, request: Callable[[], T]) -> T:
        """Make `request`. Raises UnavailableError, and LookupError where the bucket is missing.

        No object is ever refused for what it holds, so refusals (access denied, no space) are waited out like an outage.
        """
        try:
            return request()
        except S3Error as error:
            if error.code == "NoSuchBucket":
                raise LookupError(error.message) from None
            raise UnavailableError(f"{self._where} answers {error.code}: {error.message}") from None
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            raise UnavailableError(f"{self._where} does not answer: {error}") from None
