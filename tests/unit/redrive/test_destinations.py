"""Where a letter goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gridpulse_redrive.destinations import UnsendableError, delivery
from gridpulse_redrive.letters import Letter
from gridpulse_runtime.redriven import redriven_for

Make = Callable[..., Letter]


class Record:
    def key(self) -> bytes:
        return b"feeder-1"

    def value(self) -> bytes:
        return b"the anomaly"


def nothing(*_: Any) -> None:
    return None


def unused(*place: Any) -> Any:
    pytest.fail(f"looked up {place}")


def test_a_reading_goes_back_untouched_and_for_everybody(letter: Make) -> None:
    made = delivery(letter(key=None, value=b"\xff"), unused)
    assert (made.topic, made.key, made.value, redriven_for(made.headers())) == ("meter.readings", None, b"\xff", None)
    assert dict(made.headers()) == {
        "gridpulse-letter": b"meter.readings.dlq/0/7",
        "gridpulse-letter-timestamp": b"1700000000000",
    }


@pytest.mark.parametrize("topic", ["grid.anomalies", "grid.rollups", "meter.readings.valid"])
@pytest.mark.parametrize("app", ["influx-sink", "archiver", "alerter"])
def test_what_a_sink_gave_up_is_for_that_sink_alone(letter: Make, topic: str, app: str) -> None:
    made = delivery(letter("grid.sinks.dlq", headers={"topic": topic, "app": app}), unused)
    assert (made.topic, made.key, made.value, redriven_for(made.headers())) == (topic, b"feeder-1", b"\x00bytes", app)


def test_an_alert_is_made_anew_from_its_anomaly_for_the_receiver_that_missed_it(letter: Make) -> None:
    asked = []
    one = letter("grid.alerts.dlq", value=b"{}", headers={"receiver": "control-room"})
    made = delivery(one, lambda *place: asked.append(place) or Record())
    assert asked == [("grid.anomalies", 2, 31)]
    assert (made.topic, made.key, made.value) == ("grid.anomalies", b"feeder-1", b"the anomaly")
    assert redriven_for(made.headers()) == "alerter"
    assert dict(made.headers())["gridpulse-receiver"] == b"control-room"
    assert "gridpulse-receiver" not in dict(delivery(letter("grid.alerts.dlq"), lambda *_: Record()).headers())


@pytest.mark.parametrize(
    ("topic", "headers"),
    [
        ("grid.sinks.dlq", {"topic": "grid.sinks.dlq"}),
        ("grid.sinks.dlq", {"topic": "meter.readings"}),
        ("grid.sinks.dlq", {"topic": "__consumer_offsets"}),
        ("grid.sinks.dlq", {"topic": None}),
        ("grid.sinks.dlq", {"app": None}),
        ("grid.sinks.dlq", {"offset": "many"}),
        ("grid.alerts.dlq", {"topic": "grid.rollups"}),
        ("grid.alerts.dlq", {"offset": None}),
        ("grid.alerts.dlq", {}),  # no longer retained
    ],
)
def test_what_has_nowhere_to_go_says_why(letter: Make, topic: str, headers: dict[str, str | None]) -> None:
    with pytest.raises(UnsendableError, match=r"."):
        delivery(letter(topic, headers=headers), nothing)


def test_repaired_bytes_take_the_place_of_the_letters(letter: Make) -> None:
    made = delivery(letter(), unused).with_value(b"repaired")
    assert (made.value, made.key, made.replaced) == (b"repaired", b"feeder-1", True)
