"""Images of every program, built once a session; containers that end with their test."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from engine import Engine, missing


@pytest.fixture(scope="session")
def engine() -> Engine:
    lack = missing()
    if lack:
        pytest.skip(lack)
    return Engine.open()


@pytest.fixture(scope="session")
def image(engine: Engine) -> Callable[[str], str]:
    """Name of the image of an app, built at the first asking."""
    built: dict[str, str] = {}

    def of(app: str) -> str:
        if app not in built:
            built[app] = engine.build(app)
        return built[app]

    return of


@pytest.fixture
def contain(engine: Engine) -> Iterator[Callable[..., str]]:
    """Start a container shut in as compose.yaml does, on this machine's network; its name."""
    names: list[str] = []

    def start(image: str, *words: str, options: tuple[str, ...] = (), **variables: str) -> str:
        names.append(f"test-{uuid.uuid4().hex[:8]}")
        given = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
        engine.podman(
            "run", "--detach", "--name", names[-1], "--network", "host", "--read-only", "--tmpfs", "/tmp",
            "--cap-drop", "ALL", "--security-opt", "no-new-privileges", *given, *options, image, *words,
        )  # fmt: skip
        return names[-1]

    yield start
    for name in names:
        engine.podman("rm", "--force", "--volumes", "--time", "0", name, check=False)
