"""The archive's Parquet, in S3 or copied to a folder: its objects of a span of time as tables."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as papq

from gridpulse_runtime.errors import UsageError
from gridpulse_runtime.object_store import ObjectStoreSettings, file_system
from gridpulse_runtime.object_store_names import Piece, readable
from gridpulse_runtime.settings import load

__all__ = ["ANOMALIES", "READINGS", "Archive", "Span", "is_archived"]

READINGS, ANOMALIES = "readings", "anomalies"
HOUR_MS = 3_600_000
HOUR = re.compile(r"/date=(\d{4}-\d{2}-\d{2})/hour=(\d{2})/")
MARKS = {"meter_id", "feeder_id", "timestamp", "partition", "offset"}
"""Columns by which a Parquet file is known as one of the archive's readings."""


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

        Exits with code 2 where a GRIDPULSE_S3_* variable is wrong or a key is missing.
        """
        if not address.startswith("s3://"):
            return cls(address, pafs.LocalFileSystem(), str(Path(address)))
        return cls(address, file_system(load(ObjectStoreSettings)), address.removeprefix("s3://").rstrip("/"))

    @classmethod
    def of_settings(cls) -> "Archive":
        """The bucket of GRIDPULSE_S3_BUCKET."""
        return cls.at(f"s3://{load(ObjectStoreSettings).s3_bucket}")

    def objects(self, kind: str, span: Span) -> list[Piece]:
        """The objects of `kind` whose hour is in `span`, in order of time, as they hold each row once.

        Raises UsageError where there are none.
        """
        try:
            about = self.files.get_file_info(self.path)
            if about.type == pafs.FileType.File:
                return [Piece(self.path, -1)]
            found = self.files.get_file_info(pafs.FileSelector(self.path, recursive=True))
        except (OSError, pa.ArrowException) as error:
            raise UsageError(f"{self.name}: cannot be listed: {str(error).splitlines()[0]}") from None
        paths = [info.path for info in found if info.type == pafs.FileType.File and info.path.endswith(".parquet")]
        inside = [path for path in paths if f"/{kind}/" in f"/{path}"] or [path for path in paths if not HOUR.search(path)]
        kept = readable(path for path in inside if in_span(path, span))
        if not kept:
            told = "within --since and --until" if inside else f"(a folder {kind}/ of the archive, or objects in it)"
            raise UsageError(f"{self.name}: no Parquet objects of {kind} {told}")
        return kept

    def tables(
        self, kind: str, span: Span, columns: Sequence[str] = (), where: pc.Expression | None = None
    ) -> Iterator[pa.Table]:
        """The objects of `kind`, those `columns` of them that they have (none named: all), rows that `where` is true for."""
        for path, above in self.objects(kind, span):
            try:
                file = self.files.open_input_file(path)
                names = set(papq.read_schema(file).names)
                file.seek(0)
                wanted = [name for name in columns if name in names] or None
                yield papq.read_table(file, columns=wanted, filters=rows_to_read(where, above), partitioning=None)
            except (OSError, pa.ArrowException) as error:
                raise UsageError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None


def rows_to_read(where: pc.Expression | None, above: int) -> pc.Expression | None:
    """The rows that `where` is true for, of an object whose rows up to the offset `above` are read from another."""
    if above < 0:
        return where
    rest = pc.field("offset") > above
    return rest if where is None else rest & where


def in_span(path: str, span: Span) -> bool:
    hour = HOUR.search(path)
    if hour is None:
        return True
    begin = round(datetime.fromisoformat(hour[1]).replace(hour=int(hour[2]), tzinfo=UTC).timestamp() * 1000)
    return span.holds(begin, begin + HOUR_MS)
