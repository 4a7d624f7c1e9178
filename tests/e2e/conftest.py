"""End to end means alone: servers of its own, so that all that is in them is the test's."""

import sys
from collections.abc import Iterator

import pytest

from gridpulse_native import Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("e2e"), say=lambda line: sys.stderr.write(f"[stack] {line}\n")) as servers:
        yield servers
