"""What is done to the pipeline. Each waits until what it disturbed puts out again, and tells how long that took."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from disturbed.apps import APPS, Replica
from disturbed.pipeline import SESSION, Pipeline

__all__ = ["DISTURBANCES", "Disturbance", "Recovery"]

PATIENCE = 120.0
POLL = 0.05
FIRST_SEEN = {"kafka": "detector", "registry": "detector", "influx": "influx-sink", "s3": "archiver"}
"""Of each server, the app whose output shows that it is back."""
NEEDED = ("kafka", "influx", "s3")
"""Without which that app puts nothing out. What it still had in hand when the server died does not count as output."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """`kills` processes ended by SIGKILL; `seconds` from the disturbance's end, or the kill, to the next output of `watched`."""

    what: str
    watched: str
    kills: int
    seconds: float


Disturbance = Callable[[Pipeline, random.Random], Recovery]


def until_output(replica: Replica, before: tuple[int, float]) -> None:
    """Wait for more output than `before`. Raises AssertionError after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        starts, count = replica.output
        if (starts == before[0] and count > before[1]) or (starts > before[0] and count > 0):
            return
        time.sleep(POLL)
    raise AssertionError(f"{replica.name} put nothing out for {PATIENCE:.0f} s:\n{replica.process.last_lines()}")


def app_killed(app: str) -> Disturbance:
    """SIGKILL of an app."""

    def kill(pipeline: Pipeline, _: random.Random) -> Recovery:
        replica = pipeline.apps.of(app)
        before = (replica.starts, float("inf"))  # nothing that the killed process still put out counts
        began = time.monotonic()
        pipeline.apps.kill(replica)
        until_output(replica, before)
        return Recovery(f"{app} killed", app, 1, time.monotonic() - began)

    return kill


def app_paused(app: str) -> Disturbance:
    """SIGSTOP of an app for longer than its session lasts: the group goes on without it, and it comes back as a zombie."""

    def pause(pipeline: Pipeline, rng: random.Random) -> Recovery:
        replica = pipeline.apps.of(app)
        replica.process.signal(signal.SIGSTOP)
        time.sleep(SESSION + rng.uniform(0.5, 3))
        replica.process.signal(signal.SIGCONT)
        began, before = time.monotonic(), replica.output
        until_output(replica, before)
        return Recovery(f"{app} paused", app, 0, time.monotonic() - began)

    return pause


def replica_joins_and_dies(app: str) -> Disturbance:
    """A second replica takes partitions over, and is killed for good or stopped in order: two rebalances."""

    def join(pipeline: Pipeline, rng: random.Random) -> Recovery:
        first = pipeline.apps.of(app)
        second = pipeline.apps.add(app)
        until_output(second, (1, 0.0))
        began, before = time.monotonic(), first.output
        kills = rng.randint(0, 1)
        if kills:
            pipeline.apps.hold(second)
        else:
            pipeline.apps.remove(second)
        until_output(first, before)
        return Recovery(f"replica of {app} joins and {'dies' if kills else 'leaves'}", app, kills, time.monotonic() - began)

    return join


def server_killed(name: str) -> Disturbance:
    """SIGKILL of a server, which is started again at once."""

    def kill(pipeline: Pipeline, _: random.Random) -> Recovery:
        server, watched = pipeline.stack.servers[name], pipeline.apps.of(FIRST_SEEN[name])
        began = time.monotonic()
        server.kill()
        with ThreadPoolExecutor(1) as pool:
            back = pool.submit(server.start)
            if name in NEEDED:
                back.result()
            until_output(watched, watched.output)
            seconds = time.monotonic() - began
            back.result()
        return Recovery(f"{server.title} killed", watched.app, 1, seconds)

    return kill


def server_paused(name: str) -> Disturbance:
    """SIGSTOP of a server for some seconds: connections stay open and nothing answers."""

    def pause(pipeline: Pipeline, rng: random.Random) -> Recovery:
        server, watched = pipeline.stack.servers[name], pipeline.apps.of(FIRST_SEEN[name])
        server.pause()
        time.sleep(rng.uniform(2, 6))
        server.resume()
        began, before = time.monotonic(), watched.output
        until_output(watched, before)
        return Recovery(f"{server.title} paused", watched.app, 0, time.monotonic() - began)

    return pause


def network_cut(sink: str) -> Disturbance:
    """The network to a sink's destination is cut for some seconds."""

    def cut(pipeline: Pipeline, rng: random.Random) -> Recovery:
        watched = pipeline.apps.of(sink)
        pipeline.proxies[sink].cut()
        time.sleep(rng.uniform(2, 6))
        before = watched.output
        pipeline.proxies[sink].mend()
        began = time.monotonic()
        until_output(watched, before)
        return Recovery(f"network of {sink} cut", sink, 0, time.monotonic() - began)

    return cut


def everything_killed(pipeline: Pipeline, _: random.Random) -> Recovery:
    """SIGKILL of every app and every server at once."""
    apps = [pipeline.apps.of(app) for app in APPS]
    before = {replica.app: (replica.starts, float("inf")) for replica in apps}
    began = time.monotonic()
    for replica in apps:
        pipeline.apps.kill(replica)
    for server in pipeline.stack.servers.values():
        server.kill()
    pipeline.start_servers_again()
    for replica in apps:
        until_output(replica, before[replica.app])
    kills = len(apps) + len(pipeline.stack.servers)
    return Recovery("everything killed", "all", kills, time.monotonic() - began)


def state_lost(pipeline: Pipeline, _: random.Random) -> Recovery:
    """The detector is killed and its state directory deleted: it is rebuilt from the changelog."""
    replica = pipeline.apps.of("detector")
    began, before = time.monotonic(), (replica.starts, float("inf"))
    pipeline.apps.hold(replica)
    pipeline.apps.forget_state(replica)
    pipeline.apps.release(replica)
    until_output(replica, before)
    return Recovery("detector killed, state lost", "detector", 1, time.monotonic() - began)


def state_damaged(pipeline: Pipeline, rng: random.Random) -> Recovery:
    """The detector is killed and bytes in the middle of its state's files are overwritten."""
    replica = pipeline.apps.of("detector")
    began, before = time.monotonic(), (replica.starts, float("inf"))
    pipeline.apps.hold(replica)
    files = [path for path in pipeline.apps.state_of(replica).rglob("*") if path.is_file() and path.stat().st_size > 64]
    for path in rng.sample(sorted(files), min(8, len(files))):
        with path.open("r+b") as file:
            file.seek(rng.randrange(path.stat().st_size - 32))
            file.write(rng.randbytes(32))
    pipeline.apps.release(replica)
    until_output(replica, before)
    return Recovery("detector killed, state damaged", "detector", 1, time.monotonic() - began)


def disk_full(pipeline: Pipeline, _: random.Random) -> Recovery:
    """The disk of the detector's state fills up: the app stops uncommitted, and goes on when there is room again."""
    replica = pipeline.apps.of("detector")
    starts, ballast = replica.starts, pipeline.apps.state_of(replica) / "ballast"
    fill(ballast)
    end = time.monotonic() + PATIENCE
    while replica.starts == starts and time.monotonic() < end:
        time.sleep(POLL)
    assert replica.starts > starts, "a full disk went unnoticed"
    ballast.unlink()
    began = time.monotonic()
    until_output(replica, (starts, float("inf")))
    return Recovery("disk of the state full", "detector", 0, time.monotonic() - began)


def fill(ballast: Path) -> None:
    """Write until there is no room."""
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


DISTURBANCES: dict[str, Disturbance] = {
    **{f"{app} killed": app_killed(app) for app in APPS},
    **{f"{server} killed": server_killed(server) for server in FIRST_SEEN},
    "everything killed": everything_killed,
    **{f"{app} paused": app_paused(app) for app in APPS},
    **{f"{server} paused": server_paused(server) for server in FIRST_SEEN},
    **{f"network of {sink} cut": network_cut(sink) for sink in ("influx-sink", "archiver", "alerter")},
    **{f"replica of {app} comes and goes": replica_joins_and_dies(app) for app in APPS},
    "state lost": state_lost,
    "state damaged": state_damaged,
    "disk full": disk_full,
}
"""By name. "disk full" only where a small disk can be mounted."""
