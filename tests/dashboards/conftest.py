"""promtool and Prometheus: those on PATH, else of the cache, built where they are not there."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from gridpulse_native.provision.provisioner import Provisioner
from gridpulse_native.provision.recipes import PROMETHEUS
from gridpulse_native.settings import NativeSettings

sys.path.insert(0, str(Path(__file__).parent))  # for `shown`


def program(name: str) -> str:
    found = shutil.which(name)
    return found or str(Provisioner(NativeSettings.from_environment(), print).build(PROMETHEUS) / name)


@pytest.fixture(scope="session")
def promtool() -> str:
    return program("promtool")


@pytest.fixture(scope="session")
def prometheus() -> str:
    return program("prometheus")
