"""The command `gridpulse-native`."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from gridpulse_native.errors import NativeError
from gridpulse_native.provision.kubernetes import CHART_TESTS, CLUSTER_TESTS
from gridpulse_native.provision.provisioner import Provisioner
from gridpulse_native.provision.recipes import RECIPES
from gridpulse_native.record import read_all
from gridpulse_native.screen import console, errors, exports, server_table, talking
from gridpulse_native.servers.local import LocalServer
from gridpulse_native.settings import NativeSettings
from gridpulse_native.stack import ALL_SERVERS, Stack

if TYPE_CHECKING:
    from types import FrameType

    from gridpulse_native.servers.server import Server

__all__ = ["app", "main"]

app = typer.Typer(
    help="GridPulse's servers as plain processes: Kafka, a schema registry, an S3 server, InfluxDB.",
    no_args_is_help=True,
    add_completion=False,
)
DataDir = Annotated[Path, typer.Option("--data-dir", help="Where data, logs and state are kept.")]
DEFAULT_DATA = Path(".gridpulse")


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _known(names: list[str], choices: tuple[str, ...]) -> list[str]:
    unknown = [name for name in names if name not in choices]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: choose from {', '.join(choices)}")
    return names or list(choices)


@app.command()
def up(
    data_dir: DataDir = DEFAULT_DATA,
    server: Annotated[
        list[str] | None,
        typer.Option(help="Only this server; may be repeated. Default: all.", metavar="NAME"),
    ] = None,
    *,
    wait: Annotated[bool, typer.Option(help="Wait for slow builds, or let them go on behind.")] = True,
) -> None:
    """Start the servers and keep them until Ctrl-C. Servers: kafka, registry, s3, influx."""
    wanted = _known(server or [], ALL_SERVERS)
    with talking() as say:
        stack = Stack(data_dir, wanted, wait_for_builds=wait, say=say)
        stack.start()
    try:
        _show(stack, data_dir)
        if any(one.ours for one in stack.servers.values()):
            _watch(stack)
    finally:
        if any(one.ours for one in stack.servers.values()):
            errors.print("stopping")
        stack.stop()


def _state(server: Server) -> str:
    if server.up:
        return "up"
    return "building" if server.expected and not server.via else "down"


def _show(stack: Stack, data_dir: Path) -> None:
    rows = [(one.name, one.title, _state(one), one.address, one.via) for one in stack.servers.values()]
    console.print(server_table(rows))
    where = "" if data_dir == DEFAULT_DATA else f" --data-dir {data_dir}"
    console.print(f'\nFor your shell:  eval "$(gridpulse-native env{where})"', markup=False)
    if any(one.ours for one in stack.servers.values()):
        console.print("Ctrl-C ends the servers; their data stay.")
    else:
        console.print("All of them were running already; nothing to keep.")


def _watch(stack: Stack) -> NoReturn:
    """Say it when a server ends by itself."""
    told: set[str] = set()
    while True:
        for name, one in stack.servers.items():
            message = one.ended() if isinstance(one, LocalServer) else None
            if message is not None and name not in told:
                told.add(name)
                errors.print(message, markup=False)
        time.sleep(0.5)


@app.command()
def status(data_dir: DataDir = DEFAULT_DATA) -> None:
    """Show the servers of a data directory. Exit 0 if any is up, else 3."""
    records = read_all(data_dir)
    rows = [(one.name, one.title, f"up, pid {one.pid}" if one.live else "down", one.address, one.via) for one in records]
    console.print(server_table(rows))
    if not any(one.live for one in records):
        raise typer.Exit(3)


@app.command()
def env(data_dir: DataDir = DEFAULT_DATA) -> None:
    """Print `export` lines for the servers that are up. Exit 3 if none is."""
    live = [one for one in read_all(data_dir) if one.live]
    if not live:
        errors.print(f"no server is up in {data_dir}: gridpulse-native up")
        raise typer.Exit(3)
    sys.stdout.write(exports({name: value for one in live for name, value in one.variables.items()}) + "\n")


DEFAULT_BUILDS = {**RECIPES, **CHART_TESTS}
ALL_BUILDS = {**DEFAULT_BUILDS, **CLUSTER_TESTS}


@app.command()
def build(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Of {', '.join(DEFAULT_BUILDS)} (default: these), {', '.join(CLUSTER_TESTS)}, `cluster` (all of test-cluster)."
        ),
    ] = None,
) -> None:
    """Build servers, and what tests need, into the cache, without starting any."""
    asked = [
        name for word in names or DEFAULT_BUILDS for name in ({**CHART_TESTS, **CLUSTER_TESTS} if word == "cluster" else [word])
    ]
    wanted = _known(asked, tuple(ALL_BUILDS))
    failed = False
    with talking() as say:
        provisioner = Provisioner(NativeSettings.from_environment(), say)
        for name in wanted:
            try:
                say(f"{name}: {provisioner.build(ALL_BUILDS[name])}")
            except NativeError as error:
                failed = True
                say(str(error))
    if failed:
        raise typer.Exit(1)


def main() -> None:
    """Run the command; an expected failure is one message and exit 1, an end by signal is exit 130."""
    # SIGINT too: a shell without job control has a program started with `&` ignore it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        app()
    except NativeError as error:
        errors.print(f"error: {error}", markup=False)
        sys.exit(1)
