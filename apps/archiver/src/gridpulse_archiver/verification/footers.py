"""Whether a Parquet file says of itself what the ledger says of it: its footer alone is read."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from gridpulse_archiver.verification.findings import Finding, Kind
from gridpulse_archiver.verification.objects import Expected

__all__ = ["check_footer"]


def check_footer(files: pafs.FileSystem, folder: str, expected: Expected) -> list[Finding]:
    """What is wrong with the object `expected`, which lies below `folder` (the bucket) of `files`."""
    try:
        with files.open_input_file(f"{folder}/{expected.name}") as file:
            metadata = pq.read_metadata(file)
    except (OSError, pa.ArrowException) as error:
        return [finding("unreadable", expected, str(error).splitlines()[0])]
    return list(differences(metadata, expected))


def differences(metadata: pq.FileMetaData, expected: Expected) -> Iterator[Finding]:
    told = {key.decode(): value.decode() for key, value in (metadata.metadata or {}).items() if key.startswith(b"gridpulse.")}
    if not str(metadata.num_rows) == told.get("gridpulse.rows") == str(expected.rows):
        detail = f"{metadata.num_rows} rows, by its metadata {told.get('gridpulse.rows')}, by the ledger {expected.rows}"
        yield finding("rows", expected, detail)
    extremes = offsets_in(metadata)
    says = (told.get("gridpulse.first_offset"), told.get("gridpulse.last_offset"))
    ledger = (expected.first, expected.last)
    if extremes != ledger or says != (str(expected.first), str(expected.last)):
        yield finding("offsets", expected, f"rows of the offsets {extremes}, by its metadata {says}, by the ledger {ledger}")
    if (told.get("gridpulse.topic"), told.get("gridpulse.partition")) != (expected.name.topic, str(expected.name.partition)):
        yield finding("misplaced", expected, "its metadata name another topic or partition")


def offsets_in(metadata: pq.FileMetaData) -> tuple[int, int] | None:
    """Lowest and highest offset by the statistics of its row groups; None where they have none."""
    columns = [metadata.schema.column(number).path for number in range(metadata.num_columns)]
    if "offset" not in columns:
        return None
    column = columns.index("offset")
    groups = [metadata.row_group(number).column(column).statistics for number in range(metadata.num_row_groups)]
    if not groups or not all(group is not None and group.has_min_max for group in groups):
        return None
    return min(group.min for group in groups), max(group.max for group in groups)


def finding(kind: Kind, expected: Expected, detail: str) -> Finding:
    name = expected.name
    return Finding(kind, name.topic, name.partition, name.first, name.last, detail, str(name))
