"""What the tests of the chart share; the rest is in rendering.py and manifests.py."""

from __future__ import annotations

import functools
import shutil
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from rendering import CHART, READER, SMALLEST, Example, Helm, Manifest, Plain, provided, sets

from gridpulse_native.provision.kubernetes import CRDS, HELM


@pytest.fixture(scope="session")
def helm() -> Helm:
    return Helm(provided(HELM) / "helm")


@pytest.fixture(scope="session")
def example(helm: Helm) -> Example:
    """What an example's values render to."""
    return functools.cache(lambda name: helm.template("-f", CHART / "examples" / f"{name}.yaml"))


@pytest.fixture(scope="session")
def plain(helm: Helm) -> Plain:
    """What the defaults render to, with the least that has to be set, and changes by path."""
    rendered = functools.cache(lambda words: helm.template(*words))
    return lambda changes=None: rendered(tuple(sets(SMALLEST | (changes or {}))))


DEFINED = (
    "keda.sh_scaledobjects",
    "keda.sh_triggerauthentications",
    "monitoring.coreos.com_podmonitors",
    "monitoring.coreos.com_prometheusrules",
    "monitoring.coreos.com_servicemonitors",
)


@pytest.fixture(scope="session")
def definitions() -> dict[str, Manifest]:
    """Definitions of the custom resources the chart makes, by kind."""
    files = [file for file in provided(CRDS).rglob("*.yaml") if file.stem in DEFINED]
    found = [yaml.load(file.read_text(), READER) for file in files]  # noqa: S506  it is a safe loader
    return {each["spec"]["names"]["kind"]: each for each in found}


@pytest.fixture
def filled_chart(tmp_path: Path) -> Path:
    """The chart beside a folder of dashboards and rules with one of each, as in the repository."""
    shutil.copytree(CHART, tmp_path / "helm" / "gridpulse", symlinks=True)
    dashboards, rules = tmp_path / "dashboards" / "grafana", tmp_path / "dashboards" / "prometheus" / "rules"
    dashboards.mkdir(parents=True)
    rules.mkdir(parents=True)
    (dashboards / "sample.json").write_text('{"title": "Sample {{ job }}", "panels": []}\n')
    (rules / "sample.yaml").write_text(
        "groups:\n  - name: sample\n    rules:\n      - alert: Down\n        expr: up == 0\n"
        "        annotations: { summary: '{{ $labels.job }} is down' }\n"
    )
    return tmp_path / "helm" / "gridpulse"
