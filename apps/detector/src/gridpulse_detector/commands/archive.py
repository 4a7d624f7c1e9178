"""The archive's Parquet, in S3 or copied to a folder: its objects of a span of time as tables."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as papq
from pydantic import Field, SecretStr

from gridpulse_runtime.errors import UsageError
from gridpulse_runtime.settings import KafkaSettings, load

__all__ = ["ANOMALIES", "READINGS", "Archive", "Span", "is_archived"]

READINGS, ANOMALIES = "readings", "anomalies"
HOUR_MS = 3_600_000
HOUR = re.compile(r"/date=(\d{4}-\d{2}-\d{2})/hour=(\d{2})/")
MARKS = {"meter_id", "feeder_id", "timestamp", "partition", "offset"}
"""Columns by which a Parquet file is known as one of the archive's readings."""


class ArchiveSettings(KafkaSettings):
    """GRIDPULSE_S3_* as the archiver reads them."""

    s3_endpoint: str = Field("http://127.0.0.1:9000", pattern=r"^https?://[^\s/]+")
    s3_access_key: str = ""
    s3_secret_key: SecretStr = SecretStr("")
    s3_bucket: str = "gridpulse"
    s3_region: str = "us-east-1"


@dataclass(frozen=True, slots=True)
class Span:
    """Event time from `since` to before `until`, epoch ms; None for no bound."""

    since: int | None = None
    until: int | None = None

    def holds(self, begin: int, end: int) -> bool:
        """Whether any time from `begin` to before `end` is in it."""
        return (self.until is None or begin < self.until) and (self.since is None or end > self.since)


def is_archived(path: Path) -> bool:
    """Whether the local `path` is a folder, or a file of the archive's readings."""
    if path.is_dir():
        return True
    if path.suffix.lower() not in {".parquet", ".pq"}:
        return False
    try:
        return set(papq.read_schema(path).names) >= MARKS
    except (OSError, pa.ArrowException):
        return False  # reading it as a recording tells what is wrong with it


@dataclass(frozen=True, slots=True)
class Archive:
    """A folder of the archive, or one of its objects: `path` on `files`, called `name` in messages."""

    name: str
    files: pafs.FileSystem
    path: str

    @classmethod
    def at(cls, address: str) -> "Archive":
        """The archive at `address`, s3://bucket/prefix or a local path; nothing is asked of the server yet.

        Exits with code 2 where a GRIDPULSE_S3_* variable is wrong. Raises UsageError where a key is missing.
        """
        if not address.startswith("s3://"):
            return cls(address, pafs.LocalFileSystem(), str(Path(address)))
        settings = load(ArchiveSettings)
        for variable, value in (("ACCESS", settings.s3_access_key), ("SECRET", settings.s3_secret_key.get_secret_value())):
            if not value:
                raise UsageError(f"{address}: GRIDPULSE_S3_{variable}_KEY is not set")
        place = urlsplit(settings.s3_endpoint)
        files = pafs.S3FileSystem(
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key.get_secret_value(),
            region=settings.s3_region,
            scheme=place.scheme,
            endpoint_override=place.netloc,
            connect_timeout=10,
            request_timeout=60,
        )
        return cls(address, files, address.removeprefix("s3://").rstrip("/"))

    @classmethod
    def of_settings(cls) -> "Archive":
        """The bucket of GRIDPULSE_S3_BUCKET."""
        return cls.at(f"s3://{load(ArchiveSettings).s3_bucket}")

    def objects(self, kind: str, span: Span) -> list[str]:
        """Paths of the objects of `kind` whose hour is in `span`, in order of time. Raises UsageError where there are none."""
        try:
            about = self.files.get_file_info(self.path)
            if about.type == pafs.FileType.File:
                return [self.path]
            found = self.files.get_file_info(pafs.FileSelector(self.path, recursive=True))
        except (OSError, pa.ArrowException) as error:
            raise UsageError(f"{self.name}: cannot be listed: {str(error).splitlines()[0]}") from None
        paths = [info.path for info in found if info.type == pafs.FileType.File and info.path.endswith(".parquet")]
        inside = [path for path in paths if f"/{kind}/" in f"/{path}"] or [path for path in paths if not HOUR.search(path)]
        kept = sorted(path for path in inside if in_span(path, span))
        if not kept:
            told = "within --since and --until" if inside else f"(a folder {kind}/ of the archive, or objects in it)"
            raise UsageError(f"{self.name}: no Parquet objects of {kind} {told}")
        return kept

    def tables(
        self, kind: str, span: Span, columns: Sequence[str] = (), where: pc.Expression | None = None
    ) -> Iterator[pa.Table]:
        """The objects of `kind`, those `columns` of them that they have (none named: all), rows that `where` is true for."""
        for path in self.objects(kind, span):
            try:
                file = self.files.open_input_file(path)
                names = set(papq.read_schema(file).names)
                file.seek(0)
                wanted = [name for name in columns if name in names] or None
                yield papq.read_table(file, columns=wanted, filters=where, partitioning=None)
            except (OSError, pa.ArrowException) as error:
                raise UsageError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None


def in_span(path: str, span: Span) -> bool:
    hour = HOUR.search(path)
    if hour is None:
        return True
    begin = round(datetime.fromisoformat(hour[1]).replace(hour=int(hour[2]), tzinfo=UTC).timestamp() * 1000)
    return span.holds(begin, begin + HOUR_MS)
