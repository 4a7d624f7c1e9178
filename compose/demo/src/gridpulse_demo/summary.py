"""The end of the demo: what was injected, what was found, and where the results are."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gridpulse_demo.outcome import Score, compare, read_truth
from gridpulse_demo.pipeline import Watch
from gridpulse_demo.receiver import Receiver
from gridpulse_demo.stores import flux_count, objects, points

__all__ = ["summarise"]


def summarise(
    console: Console,
    folder: Path,
    receiver: Receiver,
    environment: Mapping[str, str],
    watch: Watch,
    generator_status: int | None,
) -> None:
    """Print the tables and the commands with which to look further."""

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    truth = read_truth(folder / "truth.jsonl")
    scores = compare(truth, receiver.alerts.values(), first_reading(folder / "generator.log"))
    if truth:
        console.print(table(scores))
    else:
        found_kinds = ", ".join(f"{kind} {score.unexplained}" for kind, score in scores.items())
        say(f"anomalies found, by kind: {found_kinds or 'none'}")
    readings = watch.apps["ingest"].count("readings_total")
    letters = watch.apps["ingest"].count("dead_letters_total")

    say(f"readings forwarded {readings:,}, dead-lettered {letters:,}; generator ended with {generator_status}")
    say(f"alerts received {len(receiver.alerts):,}, repeated {receiver.repeats}, with a bad signature {receiver.refused}")
    found, written = points(environment), objects(environment)
    missing = "not up in this run; what it missed waits in Kafka for the next"
    say(f"anomaly points in InfluxDB: {missing if found is None else sum(found.values())}")
    say(f"Parquet objects: {'not up' if written is None else f'{written[0]:,} ({written[1] / 1e6:,.1f} MB)'}")
    say(f"\nTruth, alerts and logs: {folder}")
    data_dir = folder.parents[1]
    say("The servers end with the demo and keep their data. To look at it, start them again:")
    say(f"  gridpulse-native up --data-dir {data_dir}")
    say(f'  eval "$(gridpulse-native env --data-dir {data_dir})"')
    say(f"DuckDB over the archive:\n  {duckdb(environment)}")
    say(f"Flux in InfluxDB (POST /api/v2/query?org={environment.get('GRIDPULSE_INFLUX_ORG', '')}):")
    say(f"  {flux_count(environment.get('GRIDPULSE_INFLUX_BUCKET', ''))}")


def first_reading(log: Path) -> float:
    """Epoch ms of the first reading, from the summary the generator ends with; 0 where it has none."""
    for text in reversed(log.read_text("utf-8").splitlines()):
        if text.startswith("{") and '"first"' in text:
            return datetime.fromisoformat(json.loads(text)["first"]).timestamp() * 1000
    return 0.0


def table(scores: dict[str, Score]) -> Table:
    """Faults by kind."""
    result = Table(title="faults injected and found", title_justify="left")
    for name in ("kind", "injected", "detected", "too early or cut short", "missed", "anomalies without a fault"):
        result.add_column(name, justify="left" if name == "kind" else "right")
    for kind, score in scores.items():
        missed = score.injected - score.detected - score.beyond
        figures = (score.injected, score.detected, score.beyond, missed, score.unexplained)
        result.add_row(kind, *(str(figure) for figure in figures))
    return result


def duckdb(environment: Mapping[str, str]) -> str:
    """A one-liner that reads the archive through S3."""
    address = environment["GRIDPULSE_S3_ENDPOINT"].split("://")[-1]
    query = (
        "duckdb -c \"INSTALL httpfs; LOAD httpfs; CREATE SECRET (TYPE s3, KEY_ID '$GRIDPULSE_S3_ACCESS_KEY', "
        f"SECRET '$GRIDPULSE_S3_SECRET_KEY', ENDPOINT '{address}', USE_SSL false, URL_STYLE 'path'); "
        "SELECT feeder_id, count(*), avg(voltage) FROM"
    )
    return f"{query} 's3://{environment['GRIDPULSE_S3_BUCKET']}/readings/**/*.parquet' GROUP BY ALL ORDER BY 1 LIMIT 10\""
