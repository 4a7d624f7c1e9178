"""The command behind `make demo`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gridpulse_demo.demo import Demo, Options
from gridpulse_native import NativeError

__all__ = ["main"]


def command(
    *,
    meters: Annotated[int, typer.Option(min=1, max=10_000_000, help="Meters of the simulated grid.")] = 10_000,
    rate: Annotated[str | None, typer.Option(help="Readings a second, or max. [default: one a meter a second]")] = None,
    duration: Annotated[float | None, typer.Option(min=1, help="Seconds to send readings for. [default: until Ctrl-C]")] = None,
    source: Annotated[
        Path | None, typer.Option("--input", exists=True, dir_okay=False, help="Replay this CSV or Parquet file instead.")
    ] = None,
    faults_per_hour: Annotated[float, typer.Option(min=0, help="Faults to inject, an hour of event time.")] = 1800.0,
    seed: Annotated[int, typer.Option(help="The same seed simulates the same grid and faults.")] = 1,
    data_dir: Annotated[Path, typer.Option(help="Where servers, state and results are kept.")] = Path(".gridpulse"),
) -> None:
    """Run the whole pipeline on this machine and watch readings become anomalies, alerts, points and Parquet files."""
    console = Console(width=None if sys.stdout.isatty() else 120)  # wide enough for the tables in a log
    try:
        status = Demo(Options(meters, rate, duration, source, faults_per_hour, seed, data_dir), console).run()
    except (NativeError, RuntimeError) as error:
        console.print(f"demo: {error}", style="red", highlight=False, soft_wrap=True)
        status = 1
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def main() -> None:
    """Entry point of `gridpulse-demo`."""
    typer.run(command)
