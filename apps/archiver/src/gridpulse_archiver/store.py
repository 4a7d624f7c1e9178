"""The bucket."""

import io
from typing import Protocol
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import S3Error

from gridpulse_archiver.settings import ArchiverSettings

__all__ = ["Bucket", "ObjectStore", "UnavailableError"]


class UnavailableError(Exception):
    """The object store does not answer, or answers that it cannot now: wait and try again."""


class ObjectStore(Protocol):
    """What the sink asks of a bucket."""

    def put(self, name: str, data: bytes) -> None:
        """Store an object whole, or raise UnavailableError; a reader never sees half of it."""


class Bucket:
    """`ObjectStore` over S3. The bucket is made on first use where it is missing."""

    def __init__(self, settings: ArchiverSettings) -> None:
        endpoint = urlsplit(settings.s3_endpoint)
        self.address = settings.s3_endpoint
        self._bucket = settings.s3_bucket
        self._made = False
        self._client = Minio(
            endpoint.netloc,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key.get_secret_value(),
            secure=endpoint.scheme == "https",
            region="us-east-1",
            http_client=urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=20), retries=False),
        )

    def put(self, name: str, data: bytes) -> None:
        """Put one object: atomic in S3."""
        try:
            self._make()
            self._client.put_object(self._bucket, name, io.BytesIO(data), len(data), "application/vnd.apache.parquet")
        except S3Error as error:
            self._made = False
            if error.code in ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"):
                raise
            raise UnavailableError(f"{self.address}: {error.code} {error.message}") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnavailableError(f"{self.address}: {error}") from error

    def answers(self) -> str | None:
        """None where the store answers, else why not."""
        try:
            self._client.bucket_exists(self._bucket)
        except (S3Error, urllib3.exceptions.HTTPError, OSError) as error:
            return f"{self.address} does not answer: {error}"
        return None

    def _make(self) -> None:
        if self._made:
            return
        if not self._client.bucket_exists(self._bucket):
            try:
                self._client.make_bucket(self._bucket)
            except S3Error as error:
                if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                    raise
        self._made = True
