"""gridpulse-archiver compact."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Annotated

import typer

from gridpulse_archiver.commands.options import AsJson, duration, size, telling
from gridpulse_archiver.commands.progress import progress
from gridpulse_archiver.compaction import Compacted, Compaction, Found
from gridpulse_archiver.store import Bucket
from gridpulse_archiver.stretch import FOLDERS
from gridpulse_runtime.errors import UsageError
from gridpulse_runtime.object_store import ObjectStoreSettings
from gridpulse_runtime.object_store_names import ObjectName
from gridpulse_runtime.settings import load

__all__ = ["compact"]

HOUR = re.compile(r".*/date=(\d{4}-\d{2}-\d{2})/hour=(\d{2})")
ALL = tuple(dict.fromkeys(FOLDERS.values()))

Folder = Annotated[list[str] | None, typer.Option("--folder", help=f"Only this folder (repeatable): {', '.join(ALL)}.")]
OlderThan = Annotated[
    str, typer.Option("--older-than", metavar="TIME", help="Only hours that ended this long ago: 90s, 15m, 2h, 1d.")
]
Grace = Annotated[
    str,
    typer.Option(
        "--grace",
        metavar="TIME",
        help="How long the merged originals stay, for readers that listed them before; a later run removes them. 0: at once.",
    ),
]
UpTo = Annotated[str, typer.Option("--up-to", metavar="SIZE", help="Largest object to be made of small ones.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


def compact(
    folder: Folder = None,
    older_than: OlderThan = "2h",
    grace: Grace = "15m",
    up_to: UpTo = "512MB",
    *,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make one object of the many that each hour of a partition has.

    Readers that follow the naming rule (docs/data-model.md) see each row once all the time. May be stopped and run again at will,
    beside the archiver. Where the archive is: GRIDPULSE_S3_ENDPOINT, _ACCESS_KEY, _SECRET_KEY, _BUCKET.
    """
    for name in folder or ():
        if name not in ALL:
            raise UsageError(f"--folder {name}: expected one of {', '.join(ALL)}")
    now = datetime.now(UTC)
    bucket = Bucket(load(ObjectStoreSettings))
    stay, most, age = duration("--grace", grace), size("--up-to", up_to), duration("--older-than", older_than)
    before = now - age
    with progress() as told, telling():
        work = Compaction(bucket, now=now, grace=stay, up_to=most, dry_run=dry_run)
        for name in folder or ALL:
            told.say(f"{name}/")
            for found in old_series(bucket, name, before):
                told.advance(f"{found[0].name.place}, {work.done.merged} objects made {work.done.into}")
                work.series(found)
    sys.stdout.write(json.dumps(asdict(work.done)) + "\n" if as_json else sentence(work.done, dry_run=dry_run))


def old_series(bucket: Bucket, folder: str, before: datetime) -> Iterator[list[Found]]:
    """The objects of each place and partition in `folder` whose hour ended before `before`."""
    parsed = ((ObjectName.parse(entry.name), entry) for entry in bucket.listed(f"{folder}/"))
    found = (Found(name, entry.size, entry.modified) for name, entry in parsed if name is not None)
    for _, group in groupby(found, key=lambda each: each.name.series):
        objects = list(group)
        hour = HOUR.fullmatch(objects[0].name.place)
        if hour is not None and hour_of(hour[1], hour[2]) <= before - timedelta(hours=1):
            yield objects


def hour_of(date: str, hour: str) -> datetime:
    return datetime.fromisoformat(date).replace(hour=int(hour), tzinfo=UTC)


def sentence(done: Compacted, *, dry_run: bool) -> str:
    would = "would be " if dry_run else ""
    text = f"{done.merged} objects {would}merged into {done.into}"
    text += "" if dry_run else f" ({done.rows} rows, {done.bytes / 1e6:.1f} MB)"
    text += f"; {done.removed} originals {would}removed, {done.waiting} wait for their grace to end"
    return text + (f"; {done.left} objects of aborted writes {would}removed\n" if done.left else "\n")
