"""The two commands: options to parts, parts to a run."""

import time
from pathlib import Path
from typing import Annotated

import typer

from gridpulse_generator import options
from gridpulse_generator.assets import asset_records
from gridpulse_generator.course import Course, chart
from gridpulse_generator.grid import Grid
from gridpulse_generator.pacing import Pacer
from gridpulse_generator.plan import FaultPlan
from gridpulse_generator.replaying import Replay
from gridpulse_generator.running import Run
from gridpulse_generator.scenario import read_scenario
from gridpulse_generator.session import Session, carry_out, connected
from gridpulse_generator.simulation import Simulation
from gridpulse_generator.truth import TruthFile
from gridpulse_runtime.recording import read_recording

__all__ = ["replay", "run"]

SECONDS_TO_MS = 1000
LONGEST_INTERVAL, LONGEST_BATCH = 86_400.0, 10_000

Meters = Annotated[int, typer.Option(min=1, max=10_000_000, help="Meters in the grid.")]
PerFeeder = Annotated[int, typer.Option(min=1, max=LONGEST_BATCH, help="Meters on a feeder, the rows of a batch.")]
Interval = Annotated[
    float,
    typer.Option(min=0.01, max=LONGEST_INTERVAL, help="Seconds of event time between two readings of a meter."),
]
Seed = Annotated[int, typer.Option(min=0, help="The same seed, grid and start give the same readings and faults.")]
Start = Annotated[
    int | None,
    typer.Option(
        parser=options.moment,
        metavar="TIME",
        help="Event time of the first reading: ISO 8601 (UTC where it has no zone), epoch seconds or ms. Not given: now; for a "
        "run faster than real time so early that no reading is ahead of now, or 24 hours ago where the run has no end (it "
        "catches up, then goes on in real time).",
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        parser=options.rate,
        metavar="READINGS/S|max",
        help="Readings sent a second. Not given: real time, meters / interval.",
    ),
]
Count = Annotated[int | None, typer.Option(min=1, help="End after this many readings. Not given: no end.")]
Duration = Annotated[float | None, typer.Option(min=0.001, help="End after this many seconds of wall time.")]
Singles = Annotated[bool, typer.Option("--singles", help="Send each reading as a message of its own.")]
Scenario = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="TOML file of faults: [[fault]] with kind, asset (id or random), start and duration (s), depth (optional).",
    ),
]
PerHour = Annotated[
    float,
    typer.Option(min=0, max=1e6, help="Faults drawn an hour of event time, over the whole grid."),
]
Warmup = Annotated[float, typer.Option(min=0, help="Seconds of event time before the first drawn fault.")]
Truth = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the faults here, one JSON object a line.")]
Kinds = Annotated[
    str | None,
    typer.Option(
        "--fault-kinds",
        metavar="all|KIND,…",
        help="Draw these kinds, in all their forms and from just past the limit to deep. Not given: the seven classic kinds.",
    ),
]
Overlap = Annotated[bool, typer.Option("--fault-overlap", help="A meter may have several faults at once.")]
Heads = Annotated[bool, typer.Option("--transformer-meters", help="Every transformer has a meter, named as it is.")]
Missing = Annotated[float, typer.Option(min=0, max=1, help="Share of the readings that get lost on their way.")]
Means = Annotated[
    bool,
    typer.Option("--interval-means", help="A reading is the mean since the one before, as billing meters report."),
]
Weekends = Annotated[bool, typer.Option("--weekends", help="Offices and factories rest on Saturdays and Sundays.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")]


def run(
    meters: Meters = 10_000,
    meters_per_feeder: PerFeeder = 100,
    interval: Interval = 1.0,
    seed: Seed = 0,
    start: Start = None,
    rate: Rate = None,
    count: Count = None,
    duration: Duration = None,
    singles: Singles = False,  # noqa: FBT002  an option
    scenario: Scenario = None,
    faults_per_hour: PerHour = 0.0,
    warmup: Warmup = 0.0,
    fault_kinds: Kinds = None,
    fault_overlap: Overlap = False,  # noqa: FBT002
    truth: Truth = None,
    transformer_meters: Heads = False,  # noqa: FBT002
    missing: Missing = 0.0,
    interval_means: Means = False,  # noqa: FBT002
    weekends: Weekends = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Simulate a grid and send its readings until the count, the duration, Ctrl-C or SIGTERM ends it."""
    interval_ms = round(interval * SECONDS_TO_MS)
    grid = Grid(meters, meters_per_feeder, seed, heads=transformer_meters)

    def charted() -> Course:
        return chart(
            now=int(time.time() * SECONDS_TO_MS),
            meters=grid.devices,
            interval_ms=interval_ms,
            rate=rate,
            count=count,
            duration=duration,
            start=start,
        )

    ticks = charted().ticks(grid.devices)
    faults = []
    if scenario:
        faults = read_scenario(scenario, grid, seed=seed, interval_ms=interval_ms, ticks=ticks, overlap=fault_overlap)
    plan = FaultPlan(
        grid,
        seed=seed,
        interval_ms=interval_ms,
        scenario=faults,
        per_hour=faults_per_hour,
        warmup=warmup,
        ticks=ticks,
        kinds=options.kinds(fault_kinds) if fault_kinds else None,
        overlap=fault_overlap,
    )
    labels = TruthFile(truth) if truth else None
    with connected(as_json=as_json, singles=singles) as session:
        session.sender.send_assets(asset_records(grid))
        # Only now: the wait for Kafka and the assets must not make the first readings old.
        course = charted()
        simulation = Simulation(
            grid, seed, course.start, interval_ms, plan, missing=missing, means=interval_means, weekends=weekends
        )
        carry_out(_run(simulation, plan, course, session, labels), session, course.readings)


def _run(simulation: Simulation, plan: FaultPlan, course: Course, session: Session, labels: TruthFile | None) -> Run:
    return Run(
        simulation,
        plan,
        course,
        session.sender,
        pacer=Pacer(session.stop.wait),
        stop=session.stop,
        wall_start=int(time.time() * SECONDS_TO_MS),
        truth=labels,
    )


Input = Annotated[Path, typer.Argument(metavar="INPUT", help="CSV (also .gz, .zst) or Parquet file.")]
Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="COLUMN=FIELD",
        help="Which column is which field: meter_id, feeder_id, timestamp, status or a measurement (repeatable). Columns named "
        "as a field need none; a meter or feeder without a column is the file's name.",
    ),
]
Scale = Annotated[
    list[str] | None,
    typer.Option(metavar="FIELD=FACTOR", help="Multiply a measurement, to change its unit: active_power=1000 (repeatable)."),
]
Speed = Annotated[
    float,
    typer.Option(parser=options.multiple_of, metavar="TIMES|max", help="Times the recorded pace; 1 is as it was measured."),
]
Rows = Annotated[int, typer.Option(min=1, max=LONGEST_BATCH, help="Most rows in a batch.")]
Shift = Annotated[
    int | None,
    typer.Option(
        parser=options.moment,
        metavar="TIME",
        help="Move the first reading to this time (now is possible, with --speed 1), the others with it.",
    ),
]


def replay(
    source: Input,
    assignments: Map = None,
    scale: Scale = None,
    speed: Speed = "max",  # type: ignore[assignment]  # typer parses defaults as it parses options
    rows: Rows = 100,
    start: Shift = None,
    singles: Singles = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Send a recorded file: rows in order of time, grouped into batches of a feeder."""
    recording = read_recording(source, assignments or (), scale or ())
    with connected(as_json=as_json, singles=singles) as session:
        pacer = Pacer(session.stop.wait)
        replaying = Replay(
            recording,
            session.sender,
            pacer=pacer,
            stop=session.stop,
            speed=speed,
            rows=rows,
            start=start,
        )
        carry_out(replaying, session, recording.times.size)
