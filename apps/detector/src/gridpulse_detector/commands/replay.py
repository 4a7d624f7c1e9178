"""gridpulse-detector replay: recorded or archived readings through the rules, with no broker."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console

from gridpulse_detector.commands import options
from gridpulse_detector.commands.archive import Span
from gridpulse_detector.commands.asset_file import read_assets
from gridpulse_detector.commands.inputs import Choice, Input, open_inputs
from gridpulse_detector.commands.judging import Event, judge
from gridpulse_detector.commands.outputs import check_folder, print_anomalies, write_anomalies, write_lines
from gridpulse_detector.commands.progress import Bar
from gridpulse_detector.commands.report import write_report
from gridpulse_detector.commands.scores import Scores, score_rows, write_scores
from gridpulse_detector.commands.shadow import compare
from gridpulse_detector.commands.summary import Summary, difference_lines
from gridpulse_detector.scoring import score_series
from gridpulse_runtime.errors import UsageError

__all__ = ["replay"]

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT",
        help="CSV (also .gz, .zst) or Parquet files; folders of the archive, or s3://BUCKET/PREFIX (with GRIDPULSE_S3_ENDPOINT, "
        "_ACCESS_KEY, _SECRET_KEY, _REGION).",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        help="Write anomaly events here: JSON lines, or Parquet where it ends in .parquet. Without it they go to stdout: a table "
        "on a terminal, JSON lines elsewhere.",
    ),
]
ScoresFile = Annotated[
    Path | None,
    typer.Option(
        "--scores",
        metavar="FILE",
        help="Write timestamp and score (0 to 1, the larger the more unusual) of every row of the input, in its order: CSV, or "
        "Parquet where it ends in .parquet. Rows that cannot be read have 0.",
    ),
]
Shadow = Annotated[
    Path | None,
    typer.Option("--shadow", metavar="FILE", help="Judge by these rules too, and print what they would have done differently."),
]
Report = Annotated[
    Path | None, typer.Option("--report", metavar="FILE.html", help="Draw all of it on one page that needs no network.")
]
Meter = Annotated[
    str | None, typer.Option("--meter", metavar="ID", help="Meter of a file with no such column; without it the file's name.")
]
Feeder = Annotated[
    str | None, typer.Option("--feeder", metavar="ID", help="Feeder of a file with no such column; without it the file's name.")
]
Since = Annotated[
    int | None, typer.Option("--since", parser=options.moment, metavar="TIME", help="Judge readings from this time on.")
]
Until = Annotated[
    int | None, typer.Option("--until", parser=options.moment, metavar="TIME", help="Judge readings before this time.")
]


def replay(
    inputs: Inputs,
    assignments: options.Map = None,
    scales: options.Scale = None,
    rules: options.RulesFile = None,
    assets: options.AssetsFile = None,
    out: Out = None,
    scores: ScoresFile = None,
    shadow: Shadow = None,
    report: Report = None,
    meter: Meter = None,
    feeder: Feeder = None,
    since: Since = None,
    until: Until = None,
    as_json: options.AsJson = False,  # noqa: FBT002  an option
) -> None:
    """Judge recorded readings by the rules, with no broker: the code that runs live, and the same anomalies.

    A file needs a timestamp (ISO 8601, UTC where it has no zone, or epoch seconds or ms) and one numeric column, in any order of
    rows. Where that column is none of our signals (voltage, current, active_power, …) it is judged by its statistical score
    alone, as a limit in volts says nothing about it; --map COLUMN=voltage names it a voltage.
    """
    for option, path in (("--out", out), ("--scores", scores), ("--report", report)):
        check_folder(option, path)
    judging = options.read_rules("--rules", rules)
    beside = options.read_rules("--shadow", shadow) if shadow else None
    book = read_assets(assets)
    begin = time.monotonic()
    choice = Choice(tuple(assignments or ()), tuple(scales or ()), meter, feeder, Span(since, until))
    opened = open_inputs(inputs, choice)
    with Bar(sum(each.judged for each in opened)) as bar:
        judged = judge(opened, judging, book, beside, bar.advance)
    scored = score_all(opened) if scores or report else None
    if scores and scored:
        found = scored
        attempt("--scores", scores, lambda path: write_scores(path, opened, found))
    summary = Summary.of(opened, judged, time.monotonic() - begin, notes(opened))
    if beside:
        summary.shadow = compare(judged.events, judged.shadow)
    if out:
        attempt("--out", out, lambda path: write_anomalies(path, judged.events))
    if report:
        attempt("--report", report, lambda path: write_report(path, opened, judged.events, judging, book, scored))
    summary.written = [str(path) for path in (out, scores, report) if path]
    elsewhere = bool(out or beside or as_json)
    if not elsewhere:
        show(judged.events)
    tell(summary, (str(rules or "packaged rules"), str(shadow)), sys.stdout if elsewhere else sys.stderr, as_json=as_json)


def attempt(option: str, path: Path, write: Callable[[Path], None]) -> None:
    try:
        write(path)
    except OSError as error:
        raise UsageError(f"{option} {path}: cannot be written: {error}") from None


def score_all(inputs: list[Input]) -> list[Scores]:
    return [score_rows(each.recording, score_series) for each in inputs]


def notes(inputs: list[Input]) -> list[str]:
    return [
        f"{each.name}: {each.series!r} is no signal, so it was judged by its statistical score alone; --map {each.series}=SIGNAL "
        "says which it is"
        for each in inputs
        if each.series
    ]


def show(events: list[Event]) -> None:
    if sys.stdout.isatty():
        print_anomalies(Console(highlight=False), events)
    else:
        write_lines(sys.stdout, events)


def tell(summary: Summary, rules: tuple[str, str], stream: TextIO, *, as_json: bool) -> None:
    if as_json:
        stream.write(json.dumps(summary.record(), ensure_ascii=False) + "\n")
        return
    lines = difference_lines(summary.shadow, *rules) if summary.shadow else []
    stream.write("\n".join([*lines, *summary.lines()]) + "\n")
