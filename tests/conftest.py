"""What every test may ask for: the real servers, started once a session by the same program as the demo."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import settings

from gridpulse_native import Stack
from gridpulse_native.http import HTTP

settings.register_profile("gridpulse", deadline=None)  # a slow machine is not a wrong answer
settings.load_profile("gridpulse")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Kafka, registry, object store and InfluxDB; GRIDPULSE_* of the caller's environment are used where they are set."""
    data = os.environ.get("GRIDPULSE_TEST_DATA_DIR")
    directory = Path(data) if data else tmp_path_factory.mktemp("stack")
    with Stack(directory, say=lambda line: sys.stderr.write(f"[stack] {line}\n")) as servers:
        yield servers


def wait_until(condition: Callable[[], Any], what: str, timeout: float = 60.0) -> Any:
    """First true value of `condition`; fails the test, saying `what` did not come, after `timeout` seconds."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    pytest.fail(f"{what} did not come within {timeout:.0f} s")


class App:
    """One of our console commands as a process of its own."""

    def __init__(self, name: str, environment: dict[str, str], folder: Path, port: int, arguments: tuple[str, ...] = ()) -> None:
        self.name, self.port = name, port
        self.log = folder / f"{name}-{uuid.uuid4().hex[:6]}.log"
        command = Path(sys.executable).parent / f"gridpulse-{name}"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [command, *arguments],
                env={**os.environ, **environment, "GRIDPULSE_METRICS_PORT": str(port), "GRIDPULSE_LOG_FORMAT": "json"},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def get(self, path: str) -> httpx.Response | None:
        try:
            return HTTP.get(f"http://127.0.0.1:{self.port}{path}", timeout=5)
        except httpx.TransportError:
            return None

    def wait_ready(self, timeout: float = 60.0) -> App:
        def ready() -> bool:
            assert self.process.poll() is None, f"{self.name} ended:\n{self.log.read_text()[-3000:]}"
            answer = self.get("/readyz")
            return answer is not None and answer.status_code == 200

        wait_until(ready, f"{self.name} ready", timeout)
        return self

    def metric(self, name: str, **labels: str) -> float:
        """Sum of the samples of `name` whose labels include `labels`."""
        answer = self.get("/metrics")
        total = 0.0
        for line in answer.text.splitlines() if answer else ():
            if line.startswith((f"{name} ", f"{name}{{")) and all(f'{key}="{value}"' in line for key, value in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, timeout: float = 60.0) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@pytest.fixture
def free_port() -> Callable[[], int]:
    import socket  # noqa: PLC0415

    def pick() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return pick


@pytest.fixture
def start_app(stack: Stack, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Callable[..., App]]:
    """Start apps against the stack, with a state directory and consumer groups of this test; all end with it."""
    apps: list[App] = []
    run = uuid.uuid4().hex[:8]

    def start(name: str, *arguments: str, **variables: str) -> App:
        environment = {
            **stack.environment(),
            "GRIDPULSE_STATE_DIR": str(tmp_path / "state"),
            "GRIDPULSE_CONSUMER_GROUP": f"test-{name}-{run}",
            **variables,
        }
        apps.append(App(name, environment, tmp_path, free_port(), arguments))
        return apps[-1]

    yield start
    for app in apps:
        if app.process.poll() is None:
            app.kill()


@pytest.fixture
def until() -> Callable[..., Any]:
    return wait_until
