"""The S3 bucket behind a few calls. All wait for nothing: what cannot be done now raises UnavailableError."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

import structlog
import urllib3
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error
from minio.helpers import md5sum_hash

from gridpulse_archiver.ledger import LEDGER
from gridpulse_runtime.errors import UnavailableError
from gridpulse_runtime.object_store import ObjectStoreSettings

__all__ = ["Bucket", "Listed"]

log = structlog.get_logger(__name__)
CHECK_SECONDS = 5.0
ONE_PART = 64 * 1024 * 1024
"""Objects up to this size go up in one request; either way an object appears whole or not at all."""
MADE_MEANWHILE = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")
PROBE = f"{LEDGER}/.probe"
SIGNED_FOR = timedelta(minutes=5)
IGNORED = frozenset({200, 400, 501})
"""Answers to a conditional PUT over an object that is there, from stores that do not know the condition."""
T = TypeVar("T")


class Listed(NamedTuple):
    """An object of a listing."""

    name: str
    size: int
    modified: datetime


class MissingError(Exception):
    """No such object, or no such bucket."""


class Bucket:
    """One bucket of an S3 server. Making it asks nothing of the server, which may not be up yet."""

    def __init__(self, settings: ObjectStoreSettings) -> None:
        self.name = settings.s3_bucket
        self._region = settings.s3_region
        self._where = f"the S3 server at {settings.s3_endpoint} (GRIDPULSE_S3_ENDPOINT)"
        address = urlsplit(settings.s3_endpoint)
        access, secret = settings.credentials()
        self._http = urllib3.PoolManager(timeout=settings.s3_timeout, retries=False, maxsize=16, ca_certs=settings.https_ca())
        self._client = Minio(
            address.netloc,
            access_key=access,
            secret_key=secret,
            secure=address.scheme == "https",
            region=settings.s3_region,
            http_client=self._http,
        )
        self._guards: bool | None = None
        self._checked_at = -CHECK_SECONDS
        self._verdict: str | None = None

    def put(self, name: str, content: bytes) -> None:
        """Store `content`, replacing what is there; a missing bucket is made."""
        part = 0 if len(content) > ONE_PART else ONE_PART
        self._store(lambda: self._client.put_object(self.name, name, BytesIO(content), len(content), part_size=part))

    def put_file(self, name: str, path: Path) -> None:
        """Store the content of a local file, replacing what is there."""
        self._store(lambda: self._client.fput_object(self.name, name, str(path), part_size=ONE_PART))

    def create(self, name: str, content: bytes) -> bool:
        """Store `content` where there is no such object; False where there is one, which is left as it is.

        Of writers at the same time one gets True. A store that does not know conditional PUTs is asked first instead: there
        two writers at the very same moment are kept apart only by Kafka's assignment of partitions.
        """
        if self._guards is None:
            self._guards = self._probe()
        if not self._guards:
            if self.get(name) is not None:
                return False
            self.put(name, content)
            return True
        status = self._store(lambda: self._put_new(name, content))
        if status not in {200, 412}:
            raise UnavailableError(f"{self._where} answers {status} to a conditional PUT of {name}")
        return status == 200

    def get(self, name: str) -> bytes | None:
        """Content, None where there is no such object."""
        try:
            return self._try(lambda: self._read(name))
        except MissingError:
            return None

    def fetch(self, name: str, path: Path) -> bool:
        """Copy an object to a local file; False where there is no such object."""
        try:
            self._try(lambda: self._client.fget_object(self.name, name, str(path)))
        except MissingError:
            return False
        return True

    def listed(self, prefix: str, after: str = "") -> Iterator[Listed]:
        """Objects whose names begin with `prefix` and come after `after`, in order of their names."""
        found = iter(self._client.list_objects(self.name, prefix, recursive=True, start_after=after or None))
        try:
            while (entry := self._try(lambda: next(found, None))) is not None:
                if not entry.is_dir:
                    yield Listed(entry.object_name, entry.size or 0, entry.last_modified)
        except MissingError:
            return

    def names(self, prefix: str, after: str = "") -> Iterator[str]:
        """Names alone."""
        return (entry.name for entry in self.listed(prefix, after))

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders right below `prefix`, which ends in a slash."""
        try:
            found = self._try(lambda: list(self._client.list_objects(self.name, prefix)))
        except MissingError:
            return []
        return [entry.object_name[len(prefix) : -1] for entry in found if entry.is_dir]

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects; those that are gone already are no error."""
        wanted = [DeleteObject(name) for name in names]
        if wanted:
            for error in self._try(lambda: list(self._client.remove_objects(self.name, wanted))):
                raise UnavailableError(f"{self._where} does not remove {error.name}: {error.code}")

    def check(self) -> str | None:
        """Why objects cannot be stored, None where they can; asked at most every five seconds, from any thread."""
        now = time.monotonic()
        if now - self._checked_at >= CHECK_SECONDS:
            self._checked_at = now
            try:
                self._try(lambda: self._client.bucket_exists(self.name))  # a missing one is made by the first put
                self._verdict = None
            except (UnavailableError, MissingError) as error:
                self._verdict = str(error)
        return self._verdict

    def _probe(self) -> bool:
        """Whether the store refuses a conditional PUT over an object that is there."""
        self.put(PROBE, b"")
        status = self._store(lambda: self._put_new(PROBE, b""))
        if status == 412:
            return True
        if status not in IGNORED:
            raise UnavailableError(f"{self._where} answers {status} to a conditional PUT")
        log.warning(
            "the S3 server knows no conditional PUT (If-None-Match): two replicas are kept apart by Kafka's assignment alone",
            answer=status,
        )
        return False

    def _put_new(self, name: str, content: bytes) -> int:
        """Status of a PUT that is to fail where there is an object. The client offers none, but signs its address.

        The digest is for SeaweedFS (4.48), which without it takes a body that never came, its writer killed, for an empty one.
        """
        address = self._client.presigned_put_object(self.name, name, expires=SIGNED_FOR)
        headers = {"If-None-Match": "*", "Content-MD5": str(md5sum_hash(content))}
        answer = self._http.request("PUT", address, body=content, headers=headers)
        if answer.status == 404:
            raise MissingError(f"no bucket {self.name}")
        return answer.status

    def _read(self, name: str) -> bytes:
        answer = self._client.get_object(self.name, name)
        try:
            return bytes(answer.read())
        finally:
            answer.close()
            answer.release_conn()

    def _store(self, request: Callable[[], T]) -> T:
        """Make a request that stores something; a missing bucket is made first."""
        try:
            return self._try(request)
        except MissingError:
            self._make()
            try:
                return self._try(request)
            except MissingError as error:
                raise UnavailableError(f"{self._where} does not show the bucket it just made: {error}") from None

    def _make(self) -> None:
        try:
            self._client.make_bucket(self.name, location=self._region)
        except S3Error as error:
            if error.code not in MADE_MEANWHILE:
                raise UnavailableError(f"{self._where} has no bucket {self.name} and makes none: {error.code}") from None
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            raise UnavailableError(f"{self._where} does not answer: {error}") from None
        else:
            log.info("bucket made", bucket=self.name)

    def _try(self, request: Callable[[], T]) -> T:
        """Make `request`. Raises UnavailableError, and MissingError where the object or the bucket is missing.

        No object is ever refused for what it holds, so refusals (access denied, no space) are waited out like an outage.
        """
        try:
            return request()
        except S3Error as error:
            if error.code in {"NoSuchBucket", "NoSuchKey"}:
                raise MissingError(error.message) from None
            raise UnavailableError(f"{self._where} answers {error.code}: {error.message}") from None
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            raise UnavailableError(f"{self._where} does not answer: {error}") from None
