"""Helm as a tool, and what the chart renders with it. Imported by the tests beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from gridpulse_native.errors import MissingToolError
from gridpulse_native.provision.provisioner import Provisioner
from gridpulse_native.provision.recipes import Recipe
from gridpulse_native.settings import NativeSettings

CHART = Path(__file__).parents[2] / "helm" / "gridpulse"
EXAMPLES = sorted((CHART / "examples").glob("*.yaml"))
NAMES = [example.stem for example in EXAMPLES]
every_example = pytest.mark.parametrize("name", NAMES)
SMALLEST = {"kafka.bootstrapServers": "kafka:9092", "schemaRegistry.url": "http://registry:8080",
            "influxdb.url": "http://influxdb:8086", "influxdb.existingSecret": "influxdb",
            "s3.endpoint": "http://minio:9000", "s3.existingSecret": "s3"}  # fmt: skip
"""All that has to be set."""
Manifest = dict[str, Any]
Example = Callable[[str], list[Manifest]]
Plain = Callable[..., list[Manifest]]
READER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where PyYAML was built with it


def provided(recipe: Recipe) -> Path:
    """Folder of a recipe in the cache, built where it is not there; skips the test where its tools are missing."""
    provisioner = Provisioner(NativeSettings.from_environment(), lambda line: sys.stderr.write(f"[helm] {line}\n"))
    try:
        return provisioner.build(recipe)
    except MissingToolError as missing:
        pytest.skip(str(missing))


class Helm:
    """The command, and its answers."""

    def __init__(self, program: Path) -> None:
        self.program = program

    def run(self, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([self.program, *words], capture_output=True, text=True, timeout=600, check=False)
        if check:
            assert done.returncode == 0, f"helm {' '.join(map(str, words))}:\n{done.stderr}"
        return done

    def template(self, *words: str | Path, chart: Path = CHART, release: str = "grid") -> list[Manifest]:
        """Everything that `helm template` prints, hooks too."""
        printed = self.run("template", release, chart, "--namespace", "energy", *words).stdout
        return [manifest for manifest in yaml.load_all(printed, READER) if manifest]

    def refused(self, *words: str | Path) -> str:
        """Why `helm template` refuses these values."""
        done = self.run("template", "grid", CHART, *words, check=False)
        assert done.returncode != 0, f"taken: {words}"
        return done.stderr


def sets(values: Mapping[str, Any]) -> list[str]:
    """`--set-json` for each value by its path."""
    return [word for path, value in values.items() for word in ("--set-json", f"{path}={json.dumps(value)}")]
