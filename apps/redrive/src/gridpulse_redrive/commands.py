"""gridpulse-redrive list, show and send."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from gridpulse_redrive import options
from gridpulse_redrive.letters import DEAD_LETTER_TOPICS, Letter
from gridpulse_redrive.letters import letters as letters_of
from gridpulse_redrive.listing import table
from gridpulse_redrive.marks import Marks
from gridpulse_redrive.redriving import Plan, Redrive
from gridpulse_redrive.showing import record_of, shown, value_of
from gridpulse_runtime import logs
from gridpulse_runtime.errors import UnavailableError, UsageError
from gridpulse_runtime.kafka import registry_of
from gridpulse_runtime.partitions import PartitionReader
from gridpulse_runtime.settings import KafkaSettings, load

__all__ = ["list_letters", "send", "show"]

FAILED = 1
Place = Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="Where the letter lies.")]
OneTopic = Annotated[str, typer.Option("--topic", metavar="TOPIC", help="The topic it lies in.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="Look at the first N such letters only.")]
Count = Annotated[int | None, typer.Option("--count", min=1, metavar="N", help="Send the first N such letters only.")]
At = Annotated[str | None, typer.Option("--at", metavar="PARTITION:OFFSET", help="Only the letter at this place of --topic.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be sent and where to; send nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Again = Annotated[bool, typer.Option("--again", help="Send also what was sent before, knowingly a second time.")]


@contextmanager
def connected() -> Iterator[tuple[KafkaSettings, PartitionReader]]:
    """Settings and a reader; Kafka that does not answer ends the command with exit code 1."""
    settings = load(KafkaSettings)
    logs.configure("redrive", style=settings.log_format, level=settings.log_level)
    with closing(PartitionReader(settings, "gridpulse-redrive")) as reader:
        try:
            yield settings, reader
        except UnavailableError as error:
            sys.stderr.write(f"gridpulse-redrive: {error}\n")
            raise typer.Exit(FAILED) from None


def list_letters(
    topic: options.Topic = None,
    reason: options.Reason = None,
    app: options.App = None,
    since: options.Since = None,
    until: options.Until = None,
    limit: Limit = None,
    as_json: options.AsJson = False,  # noqa: FBT002  an option
) -> None:
    """Count the dead letters by topic, reason and app, or list them with --json."""
    wanted = options.wanted(topic, reason, app, since, until)
    with connected() as (_, reader):
        marks = Marks.read(reader)
        found = ((letter, marks.has(letter)) for letter in islice(letters_of(reader, wanted), limit))
        if not as_json:
            sys.stdout.write(table(found))
            return
        for letter, sent in found:
            sys.stdout.write(json.dumps(record_of(letter, sent=sent), ensure_ascii=False) + "\n")


def show(place: Place, topic: OneTopic, as_json: options.AsJson = False, out: options.Out = None) -> None:  # noqa: FBT002
    """Show one letter: its headers, and its value as its schema reads it, else as hex."""
    with connected() as (settings, reader):
        letter = one_letter(reader, topic, place)
        sent = Marks.read(reader).has(letter)
        if out is not None:
            save(out, letter.value or b"")
        reading = value_of(letter.value, registry_of(settings))
        if as_json:
            record = {**record_of(letter, sent=sent), "value_kind": reading[0], "value": reading[1]}
            sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
        else:
            sys.stdout.write(shown(letter, reading, sent=sent))


def send(
    topic: options.Topic = None,
    reason: options.Reason = None,
    app: options.App = None,
    since: options.Since = None,
    until: options.Until = None,
    at: At = None,
    count: Count = None,
    replace: options.Replace = None,
    dry_run: DryRun = False,  # noqa: FBT002
    yes: Yes = False,  # noqa: FBT002
    again: Again = False,  # noqa: FBT002
    as_json: options.AsJson = False,  # noqa: FBT002
) -> None:
    """Send dead letters again, once each, to where they came from; those of one sink or of the alerter for that app alone.

    Exit codes: 0 all were sent, 1 some could not be sent, or not all were sent (say it again: what was sent is not sent again).
    """
    wanted = options.wanted(topic, reason, app, since, until)
    spot = None if at is None else options.place(at)
    if spot is not None and topic is None:
        raise UsageError("--at needs --topic")
    plan = Plan(wanted, spot, count, again, None if replace is None else content(replace))
    if not (dry_run or yes or sys.stdin.isatty()):
        raise UsageError("nobody is there to be asked: give --yes (or --dry-run)")
    with connected() as (settings, reader):
        redrive = Redrive(settings, reader, plan, as_json=as_json)
        due = redrive.survey(tell=dry_run)
        if dry_run or not due:
            return
        if not yes and not typer.confirm(f"Send {due:,} letters again?", err=True):
            raise typer.Exit(FAILED)
        if not redrive.run(due):
            raise typer.Exit(FAILED)


def one_letter(reader: PartitionReader, topic: str, place: str) -> Letter:
    """The letter at `place`. Raises UsageError where there is none."""
    if topic not in DEAD_LETTER_TOPICS:
        raise UsageError(f"--topic {topic!r} holds no dead letters: expected one of {', '.join(DEAD_LETTER_TOPICS)}")
    partition, offset = options.place(place)
    message = reader.at(topic, partition, offset)
    if message is None:
        raise UsageError(f"{topic} has no letter at {place}, or no longer")
    return Letter.of(message)


def content(path: Path) -> bytes:
    """Bytes of a file. Raises UsageError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"--replace {path}: cannot be read: {error.strerror}") from None


def save(path: Path, value: bytes) -> None:
    """Write a file. Raises UsageError."""
    try:
        path.write_bytes(value)
    except OSError as error:
        raise UsageError(f"--out {path}: cannot be written: {error.strerror}") from None
