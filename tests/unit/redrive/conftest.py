from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gridpulse_redrive.letters import Letter


@pytest.fixture
def letter() -> Callable[..., Letter]:
    """A letter as ingest, a sink or the alerter writes it; `headers` by their last word."""

    def make(topic: str = "meter.readings.dlq", offset: int = 7, **given: Any) -> Letter:
        app = {"meter.readings.dlq": "ingest", "grid.sinks.dlq": "influx-sink", "grid.alerts.dlq": "alerter"}[topic]
        origin = {"meter.readings.dlq": "meter.readings"}.get(topic, "grid.anomalies")
        named = {"reason": "refused", "app": app, "topic": origin, "partition": "2", "offset": "31", **given.pop("headers", {})}
        headers = {f"gridpulse-{name}": value for name, value in named.items() if value is not None}
        place = {"partition": 0, "timestamp": 1_700_000_000_000, "key": b"feeder-1", "value": b"\x00bytes", **given}
        return Letter(topic=topic, offset=offset, headers=headers, **place)

    return make
