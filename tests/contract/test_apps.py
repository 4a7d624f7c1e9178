"""What every app promises: its command, the variables in its help, the names of its metrics."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from gridpulse_runtime.metrics import MessageLatency
from gridpulse_runtime.settings import PREFIX, AppSettings

APPS = ("ingest", "detector", "influx-sink", "archiver", "alerter")


def package(app: str) -> str:
    return f"gridpulse_{app.replace('-', '_')}"


every_app = pytest.mark.parametrize(
    "app",
    [
        pytest.param(app, marks=pytest.mark.skipif(find_spec(f"{package(app)}.main") is None, reason=f"{app} has no main yet"))
        for app in APPS
    ],
)


def settings_of(app: str) -> type[AppSettings]:
    module = importlib.import_module(f"{package(app)}.settings")
    (found,) = (getattr(module, name) for name in module.__all__ if name.endswith("Settings"))
    assert issubclass(found, AppSettings)
    return found


@every_app
def test_help_names_every_variable_and_needs_no_server(app: str) -> None:
    command = Path(sys.executable).parent / f"gridpulse-{app}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)} | {"COLUMNS": "500"}
    done = subprocess.run([command, "--help"], env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    for name in settings_of(app).model_fields:
        assert re.search(rf"\b{PREFIX}{name.upper()}: \S", done.stdout), name


@every_app
def test_every_setting_is_explained(app: str) -> None:
    assert [name for name, field in settings_of(app).model_fields.items() if not field.description] == []


@every_app
def test_metrics_carry_the_name_of_their_app(app: str) -> None:
    module = importlib.import_module(f"{package(app)}.metrics")
    metrics = [value for value in vars(module).values() if isinstance(value, MetricWrapperBase | MessageLatency)]
    assert metrics
    for metric in metrics:
        (family,) = metric.describe()
        assert re.fullmatch(rf"{package(app)}_[a-z0-9_]+", family.name)
        assert family.documentation
        labels = set(metric._labelnames) if isinstance(metric, MetricWrapperBase) else set()
        assert not {"meter", "meter_id", "asset", "asset_id", "feeder", "feeder_id"} & labels


def test_importing_does_nothing() -> None:
    """No thread, no connection, nothing printed: `main()` composes."""
    mains = [f"{package(app)}.main" for app in APPS if find_spec(f"{package(app)}.main")]
    code = "import threading, importlib\n" + "".join(
        f"importlib.import_module('{main}')\nassert threading.active_count() == 1, '{main}'\n" for main in mains
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
