"""gridpulse-detector explain: what an anomaly rests on, and whether the same readings give it again."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pyarrow.compute as pc
import typer

from gridpulse_detector.assets import AssetBook
from gridpulse_detector.commands import options
from gridpulse_detector.commands.archive import ANOMALIES, Archive, Span
from gridpulse_detector.commands.asset_file import read_assets
from gridpulse_detector.commands.evidence import ArchiveEvidence, Evidence, InputEvidence, KafkaEvidence
from gridpulse_detector.commands.inputs import Choice
from gridpulse_detector.commands.judging import Bench
from gridpulse_detector.commands.kafka_log import KafkaLog
from gridpulse_detector.commands.outputs import instant, number, text_of
from gridpulse_detector.commands.verdict import Verdict, compare_verdicts, history
from gridpulse_detector.ruleset import Rules
from gridpulse_runtime.errors import UsageError
from gridpulse_runtime.settings import KafkaSettings, load

__all__ = ["explain"]

DIFFERENT = 1
FEWEST_DIGITS = 6
Event = dict[str, Any]

Wanted = Annotated[str, typer.Argument(metavar="ANOMALY_ID", help="Id of the anomaly, or its first digits (at least six).")]
From = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="Look the anomaly up in this file of JSON lines, not in grid.anomalies."),
]
FromArchive = Annotated[
    bool,
    typer.Option(
        "--archive", help="Look the anomaly (without --from) and its readings up in the archive (GRIDPULSE_S3_*), not in Kafka."
    ),
]
Files = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="INPUT", help="Take the readings from this file, as replay did (repeatable)."),
]
Lookback = Annotated[
    float | None,
    typer.Option(
        "--lookback",
        min=0,
        metavar="SECONDS",
        help="Judge readings from this long before the start on. Without it all that Kafka retains (at most 500,000 records of "
        "the partition), a day of the archive, or the whole file.",
    ),
]


@dataclass(frozen=True, slots=True)
class Where:
    """What the command line says of places."""

    file: Path | None
    archive: bool
    inputs: list[str]
    choice: Choice

    @property
    def needs_kafka(self) -> bool:
        """Whether anything has to be looked up there."""
        return not self.archive and not (self.file and self.inputs)


def explain(
    wanted: Wanted,
    source: From = None,
    archive: FromArchive = False,  # noqa: FBT002  an option
    inputs: Files = None,
    assignments: options.Map = None,
    scales: options.Scale = None,
    rules: options.RulesFile = None,
    assets: options.AssetsFile = None,
    lookback: Lookback = None,
    as_json: options.AsJson = False,  # noqa: FBT002
) -> None:
    """Show an anomaly, fetch the readings it was decided on, and judge them again by the same rules.

    Exit codes: 0 the same verdict, 1 a different one, 2 where the anomaly or its readings cannot be found.
    """
    if len(wanted) < FEWEST_DIGITS or set(wanted) - set("0123456789abcdef"):
        raise UsageError(f"{wanted!r} is no anomaly id: expected {FEWEST_DIGITS} to 32 hexadecimal digits")
    judging = options.read_rules("--rules", rules)
    book = read_assets(assets)
    where = Where(source, archive, inputs or [], Choice(tuple(assignments or ()), tuple(scales or ())))
    with places(where) as (log, store):
        first = one(found(wanted, where, log, store), wanted)
        note = "" if assets or where.inputs else learn_assets(book, log)
        verdict = judge_again(first, evidence_of(where, log, store), lookback, judging, book)
    verdict.notes += [note] if note else []
    sys.stdout.write(json.dumps(verdict.record(), ensure_ascii=False) + "\n" if as_json else told(verdict))
    if not verdict.same:
        raise typer.Exit(DIFFERENT)


@contextmanager
def places(where: Where) -> Iterator[tuple[KafkaLog | None, Archive | None]]:
    """Kafka and the archive, as far as they are needed."""
    log = KafkaLog(load(KafkaSettings)) if where.needs_kafka else None
    try:
        yield log, Archive.of_settings() if where.archive else None
    finally:
        if log:
            log.close()


def learn_assets(book: AssetBook, log: KafkaLog | None) -> str:
    """Learn grid.assets; what to tell where it cannot be read, which the archive is there for."""
    if log:
        learn_all(book, log)
        return ""
    try:
        with closing(KafkaLog(load(KafkaSettings))) as own:
            learn_all(book, own)
    except UsageError as error:
        return f"every meter is taken for 230 V and 60 A, as grid.assets cannot be read ({error}): give --assets FILE"
    return ""


def learn_all(book: AssetBook, log: KafkaLog) -> None:
    for record in log.assets():
        book.learn(record)


def evidence_of(where: Where, log: KafkaLog | None, store: Archive | None) -> Evidence:
    if where.inputs:
        return InputEvidence(where.inputs, where.choice)
    if store:
        return ArchiveEvidence(store)
    if log is None:
        raise UsageError("nowhere to take the readings from")
    return KafkaEvidence(log)


def found(wanted: str, where: Where, log: KafkaLog | None, store: Archive | None) -> Iterable[Event]:
    """Events whose id begins with `wanted`."""
    if where.file:
        return (event for event in lines(where.file) if str(event.get("anomaly_id", "")).startswith(wanted))
    if store:
        return archived(wanted, store)
    return log.anomalies(wanted) if log else ()


def lines(path: Path) -> Iterator[Event]:
    """Events of a file of JSON lines. Raises UsageError."""
    try:
        texts = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--from {path}: cannot be read: {error}") from None
    for line, text in enumerate(texts, 1):
        try:
            event = json.loads(text)
        except ValueError as error:
            raise UsageError(f"--from {path}: line {line} is no JSON: {error}") from None
        if isinstance(event, dict):
            yield event


def archived(wanted: str, store: Archive) -> Iterator[Event]:
    """Events of the archive, as they were on the topic."""
    for table in store.tables(ANOMALIES, Span(), where=pc.starts_with(pc.field("anomaly_id"), wanted)):
        for row in table.to_pylist():
            evidence = {name.removeprefix("evidence_"): row[name] for name in row if name.startswith("evidence_")}
            times = ("started_at", "ended_at", "detected_at", "reading_timestamp")
            moments = {name: row[name] and round(row[name].timestamp() * 1000) for name in times}
            yield (
                {name: value for name, value in row.items() if not name.startswith("evidence_")}
                | moments
                | {"evidence": evidence}
            )


def one(events: Iterable[Event], wanted: str) -> list[Event]:
    """The events of the one anomaly among them. Raises UsageError where there is none, or more than one."""
    by_id: dict[str, list[Event]] = {}
    for event in events:
        by_id.setdefault(event["anomaly_id"], []).append(event)
    if not by_id:
        raise UsageError(f"no anomaly {wanted}: it is not (or no longer) where it was looked for")
    if len(by_id) > 1:
        raise UsageError(f"{len(by_id)} anomalies begin with {wanted}: {', '.join(sorted(by_id)[:5])}")
    return history(next(iter(by_id.values())))


def judge_again(first: list[Event], evidence: Evidence, lookback: float | None, rules: Rules, assets: AssetBook) -> Verdict:
    """Run the rules over the evidence of `first` and compare."""
    newest = first[-1]
    bench = Bench(rules, assets)
    again: list[Event] = []
    counted = Verdict(first, [])
    for placed in evidence.batches(newest, lookback):
        counted.count(placed)
        again += [event for event in evidence.judge(bench, placed) if event["anomaly_id"] == newest["anomaly_id"]]
    verdict = compare_verdicts(first, again)
    verdict.batches, verdict.readings, verdict.offsets = counted.batches, counted.readings, counted.offsets
    return verdict


def told(verdict: Verdict) -> str:
    """For people."""
    event = verdict.first[-1]
    unit = f" {event['unit']}" if event["unit"] else ""
    ended = f"ended {instant(event['ended_at'])}" if event["state"] == "CLOSED" and event["ended_at"] else event["state"].lower()
    evidence = event["evidence"]
    first = evidence.get("first_offset", -1)
    since = f", since {first}" if first >= 0 else ""
    allowed = f"allowed {number(event['lower'])} to {number(event['upper'])}, farthest {number(event['peak'])}"
    judged = f"{verdict.batches:,} batches, {verdict.readings:,} readings of the feeder"
    out = [
        f"{event['kind']} at {event['asset_id']} (feeder {event['feeder_id']}), {event['severity']}",
        f"  {text_of(event)}",
        f"  started {instant(event['started_at'])}, {ended}, {event['reading_count']} abnormal readings",
        f"  observed {number(event['observed'])}{unit}, expected {number(event['expected'])}, {allowed}",
        f"  rule {event['rule']}, version {event['rule_version']}; id {event['anomaly_id']}",
        f"  decided on {evidence['topic']}, partition {evidence['partition']}, {evidence['offset']}{since}",
        f"judged again {judged} ({verdict.offsets[0]} to {verdict.offsets[1]})",
    ]
    out += [f"note: {note}" for note in verdict.notes]
    states = ", ".join(f"{each['state']} {each['severity']}" for each in verdict.first)
    out += (
        [f"same verdict: {states}"] if verdict.same else ["not the same verdict:", *(f"  {text}" for text in verdict.differences)]
    )
    return "\n".join(out) + "\n"
