from collections.abc import Callable
from typing import Any

from gridpulse_runtime.high_water import first_time

Make = Callable[..., dict[str, Any]]


class State(dict[bytes, bytes]):
    def get_bytes(self, key: bytes) -> bytes | None:
        return self.get(key)

    def set_bytes(self, key: bytes, value: bytes) -> None:
        self[key] = value


def at(offset: int, ordinal: int = 0, partition: int = 0) -> dict[str, Any]:
    return {"evidence": {"topic": "meter.readings.valid", "partition": partition, "offset": offset, "ordinal": ordinal}}


def test_an_anomaly_goes_by_the_place_that_decided_it(event: Make) -> None:
    state = State()
    verdicts = [first_time(event(**at(*place)), state) for place in [(7, 0), (7, 1), (7, 0), (7, 1), (6, 9), (8, 0), (0, 0, 1)]]
    assert verdicts == [True, True, False, False, False, True, True]


def test_windows_that_close_on_the_same_evidence_are_all_new(rollup: Make) -> None:
    """After a gap many hopping windows hold the same last pane."""
    state = State()
    minutes = [rollup(window="15m", window_start=start) for start in (0, 60_000, 120_000)]
    assert [first_time(one, state) for one in minutes] == [True] * 3
    assert [first_time(one, state) for one in minutes] == [False] * 3
    assert first_time(rollup(window="1m", window_start=0), state), "another window has marks of its own"
