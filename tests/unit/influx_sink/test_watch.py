"""Which readings an anomaly asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpulse_influx_sink.watch import ASSETS_ALL, ASSETS_EACH, GRACE_MS, OPEN_MS, REACH, WatchList
from gridpulse_schemas import ReadingBatch, Roster

T0 = 1_700_000_000_000
AROUND = 300_000
Make = Callable[..., dict[str, Any]]


def batch(*readings: tuple[str, int]) -> ReadingBatch:
    times = [time for _, time in readings]
    base = min(times, default=T0)
    return ReadingBatch("f", Roster.of(meter for meter, _ in readings), base, np.array([time - base for time in times], np.int32))


def seen(watch: WatchList, meter: str, *times: int) -> list[int]:
    return [times[row] for row in watch.rows(batch(*((meter, time) for time in times)))]


@pytest.fixture
def opened(event: Make) -> dict[str, Any]:
    """Started at T0, found out 10 s later."""
    return event(started_at=T0, detected_at=T0 + 10_000)


def test_an_open_anomaly_is_followed_from_before_its_start(opened: dict[str, Any]) -> None:
    watch = WatchList()
    past = watch.take(opened, AROUND, T0 + 12_000)
    edges = (T0 - AROUND - 1, T0 - AROUND, T0, T0 + 10_000 + OPEN_MS, T0 + 10_000 + OPEN_MS + 1)
    assert seen(watch, "meter-1", *edges) == list(edges[1:4])
    assert seen(watch, "meter-2", *edges) == []
    assert past is not None
    assert (past.window.begin, past.window.assets) == (T0 - AROUND, ("meter-1",))
    assert past.since == T0 + 2000 - AROUND - GRACE_MS, "Kafka time is 2 s after event time"
    assert past.until >= T0 + 2000 + AROUND


@pytest.mark.parametrize("state", ["CLOSED", "RETRACTED"])
def test_a_closed_one_until_a_while_after_its_end(opened: dict[str, Any], state: str) -> None:
    watch = WatchList()
    watch.take(opened, AROUND, T0)
    closed = {**opened, "state": state, "ended_at": T0 + 60_000, "detected_at": T0 + 90_000}
    assert watch.take(closed, AROUND, T0) is None, "all of it is followed already"
    end = T0 + 60_000 + AROUND
    assert seen(watch, "meter-1", T0 - AROUND - 1, T0 - AROUND, end, end + 1) == [T0 - AROUND, end]
    assert not watch.forget(end + GRACE_MS)
    assert watch.forget(end + GRACE_MS + 1)
    assert len(watch) == 0


def test_what_comes_back_is_followed_again(opened: dict[str, Any]) -> None:
    watch = WatchList()
    watch.take(opened, AROUND, T0)
    watch.take({**opened, "state": "CLOSED", "ended_at": T0 + 20_000, "detected_at": T0 + 25_000}, AROUND, T0)
    assert watch.take({**opened, "state": "UPDATED", "detected_at": T0 + 50_000}, AROUND, T0) is None
    assert seen(watch, "meter-1", T0 - AROUND, T0 + 50_000 + OPEN_MS) == [T0 - AROUND, T0 + 50_000 + OPEN_MS]


def test_a_change_long_after_brings_its_own_surroundings(opened: dict[str, Any]) -> None:
    day = 86_400_000
    for change in ({"state": "UPDATED"}, {"state": "CLOSED", "ended_at": T0 + day}):
        watch = WatchList()
        past = watch.take({**opened, **change, "detected_at": T0 + day}, AROUND, T0 + day)
        assert past is not None
        assert T0 + day - 2 * AROUND <= past.window.begin <= T0 + day - AROUND


def test_what_is_found_late_reaches_back_a_bounded_time(opened: dict[str, Any]) -> None:
    day = 86_400_000
    past = WatchList().take({**opened, "detected_at": T0 + day}, AROUND, T0 + day)
    assert past is not None
    assert past.window.begin == T0 + day - REACH * AROUND


def test_members_are_followed_up_to_a_bound(opened: dict[str, Any]) -> None:
    members = [{"asset_id": f"m{n}", "value": None} for n in range(3)]
    watch = WatchList()
    watch.take({**opened, "asset_type": "TRANSFORMER", "asset_id": "t1", "members": members[:1]}, AROUND, T0)
    past = watch.take({**opened, "asset_id": "t1", "members": members, "state": "UPDATED"}, AROUND, T0)
    assert past is not None
    assert past.window.assets == ("m1", "m2"), "only what joined is read again"
    assert all(seen(watch, meter, T0) == [T0] for meter in ("t1", "m0", "m1", "m2"))

    many = [{"asset_id": f"x{n}", "value": None} for n in range(10 * ASSETS_EACH)]
    for number in range(10):
        watch.take({**opened, "anomaly_id": str(number), "asset_id": f"t{number}", "members": many}, AROUND, T0)
    assert watch.unwatched > 0
    assert len(watch.pack()) < 100 * ASSETS_ALL
    followed = WatchList(watch.pack()).rows(batch(*((f"x{n}", T0) for n in range(10 * ASSETS_EACH))))
    assert followed.size == ASSETS_EACH - 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from(["OPENED", "UPDATED", "CLOSED", "RETRACTED"]),
            st.integers(0, 9),
            st.integers(0, 4_000_000),
        ),
        max_size=12,
    ),
    st.integers(0, 9_000_000),
)
def test_it_survives_the_state_and_repeats_change_nothing(changes: list[tuple[str, str, int, int]], clock: int) -> None:
    plain, stored, twice = WatchList(), WatchList(), WatchList()
    for anomaly, state, meter, after in changes:
        event = {
            "anomaly_id": anomaly,
            "state": state,
            "asset_id": f"m{meter}",
            "members": [],
            "started_at": T0,
            "detected_at": T0 + after,
            "ended_at": T0 + after if state == "CLOSED" else None,
        }
        assert plain.take(event, AROUND, T0) == stored.take(event, AROUND, T0)
        stored = WatchList(stored.pack())
        twice.take(event, AROUND, T0)
        assert twice.take(event, AROUND, T0) is None
    assert plain.pack() == stored.pack() == twice.pack()
    assert plain.forget(T0 + clock) == stored.forget(T0 + clock)
    assert plain.pack() == stored.pack()
