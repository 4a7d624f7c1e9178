"""gridpulse-archiver verify."""

import json
import sys
from contextlib import ExitStack
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gridpulse_archiver.commands.options import AsJson, telling
from gridpulse_archiver.commands.progress import progress
from gridpulse_archiver.settings import ArchiverSettings
from gridpulse_archiver.store import Bucket
from gridpulse_archiver.stretch import FOLDERS
from gridpulse_archiver.topology import NAME
from gridpulse_archiver.verification.findings import Finding, Summary
from gridpulse_archiver.verification.kafka_log import KafkaLog
from gridpulse_archiver.verification.log import Unasked
from gridpulse_archiver.verification.verifier import Verifier
from gridpulse_runtime.application import group_of
from gridpulse_runtime.errors import UsageError
from gridpulse_runtime.object_store import file_system
from gridpulse_runtime.settings import load

__all__ = ["verify"]

WRONG = 1
COLUMNS = ("first", "last", "entries", "records", "rows", "repeats", "dead_letters", "skipped", "objects", "merged", "undecided")

Topic = Annotated[list[str] | None, typer.Option("--topic", help=f"Only this topic (repeatable): {', '.join(FOLDERS)}.")]
Deep = Annotated[bool, typer.Option("--deep", help="Read every row, not only what the files say of themselves.")]
AskKafka = Annotated[
    bool,
    typer.Option(
        "--ask-kafka",
        help="Where no record was found ask the log: markers of transactions and compacted records are no holes. And whether "
        "the ledger answers for all that is committed (by the group gridpulse-archiver, or GRIDPULSE_CONSUMER_GROUP).",
    ),
]


def verify(topic: Topic = None, *, deep: Deep = False, ask_kafka: AskKafka = False, as_json: AsJson = False) -> None:
    """Prove that every offset since the archive began is archived, once.

    Exit code 0 where that is so, 1 with a line for each hole or object that is wrong, 2 where it cannot be found out. May run
    beside the archiver. Where the archive is: GRIDPULSE_S3_ENDPOINT, _ACCESS_KEY, _SECRET_KEY, _BUCKET.
    """
    for name in topic or ():
        if name not in FOLDERS:
            raise UsageError(f"--topic {name}: expected one of {', '.join(FOLDERS)}")
    settings = load(ArchiverSettings)
    with ExitStack() as stack:
        stack.enter_context(telling())
        log = stack.enter_context(KafkaLog(settings, group_of(settings, NAME))) if ask_kafka else Unasked()
        told = stack.enter_context(progress())
        verifier = Verifier(Bucket(settings), file_system(settings), settings.s3_bucket, told, log)
        verifier.run(topic or FOLDERS, deep=deep)
    summaries, findings = list(verifier.summaries.values()), verifier.findings
    if not summaries:
        raise UsageError(f"the bucket {settings.s3_bucket} holds no archive of {', '.join(topic or FOLDERS)}")
    if as_json:
        result = {"ok": not findings, "partitions": list(map(asdict, summaries)), "findings": list(map(asdict, findings))}
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        show(summaries, findings)
    raise SystemExit(WRONG if findings else 0)


def show(summaries: list[Summary], findings: list[Finding]) -> None:
    table = Table(*("topic", "partition"), *(name.replace("_", " ") for name in COLUMNS), box=None)
    for each in summaries:
        table.add_row(each.topic, str(each.partition), *(str(getattr(each, name)) for name in COLUMNS))
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False)
    console.print(table)
    for wrong in findings:
        where = f" {wrong.object}" if wrong.object else ""
        sys.stdout.write(
            f"{wrong.kind}: {wrong.topic} {wrong.partition} from {wrong.first} to {wrong.last}{where}: {wrong.detail}\n"
        )
    sys.stdout.write(f"{len(findings)} findings\n" if findings else "every offset is archived once\n")
