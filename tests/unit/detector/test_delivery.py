"""Repeats, late readings, heartbeats: each reading is judged once, in its own time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gridpulse_schemas import Origin

Make = Callable[..., Any]
CLOSED = 58
"""When F1 closes the minute that ends at 40 and whose grace ends at 50: by its id eight seconds later."""


def origin(offset: int, *offsets: int, partition: int = 0) -> Origin:
    return Origin(partition, offset, np.array(offsets, np.int64))


def rows(*seconds: float, **values: float) -> list[dict[str, Any]]:
    return [{"s": second, "current": 1, **values} for second in seconds]


def test_a_message_that_came_before_is_dropped(feeder: Make) -> None:
    one = feeder()
    one.send(*rows(0, 1), origin=origin(5))
    before = dict(one.store)
    for offset in (5, 3):
        one.send(*rows(2, 3), origin=origin(offset))
    assert one.totals == {"judged": 2, "dropped": 4, "late": 0, "repeated": 0, "ahead": 0}
    assert one.store == before
    one.send(*rows(2, 3), origin=origin(6))
    assert one.totals["judged"] == 4


def test_of_coalesced_rows_only_those_that_came_before_are_dropped(feeder: Make) -> None:
    one = feeder()
    one.send(*rows(0, 1, 2), origin=origin(12, 10, 11, 12))
    one.send(*rows(0, 1, 2, 3, 4), origin=origin(14, 10, 11, 12, 13, 14))
    assert one.totals == {"judged": 5, "dropped": 3, "late": 0, "repeated": 0, "ahead": 0}
    one.send(*rows(0, 1, 2, 3, 4), origin=origin(14, 10, 11, 12, 13, 14))
    assert one.totals["dropped"] == 8


def test_every_partition_has_its_own_mark(feeder: Make) -> None:
    one = feeder()
    one.send(*rows(0), origin=origin(100, partition=0))
    one.send(*rows(1), origin=origin(5, partition=3))
    one.send(*rows(2), origin=origin(5, partition=3))
    one.send(*rows(3), origin=origin(101, partition=0))
    assert one.totals == {"judged": 3, "dropped": 1, "late": 0, "repeated": 0, "ahead": 0}
    assert one.state.origins.tolist() == [[0, 101], [3, 5]]


def test_dropped_rows_open_nothing_and_move_no_clock(feeder: Make) -> None:
    one = feeder()
    one.send(*rows(0), origin=origin(5, 5))
    one.send({"s": 50, "voltage": 0}, {"s": 1, "voltage": 230}, origin=origin(6, 5, 6))
    assert one.events == []
    assert one.totals["late"] == 0


def test_a_reading_sent_twice_by_the_head_end_is_judged_once(feeder: Make) -> None:
    one = feeder()
    one.send({"s": 0, "current": 1}, {"s": 0, "current": 2}, origin=origin(1))
    one.send({"s": 0, "current": 3}, {"s": 0, "current": 3, "meter": "M2"}, origin=origin(2))
    one.send({"s": 0, "current": 3}, origin=origin(1, partition=1))
    assert one.totals == {"judged": 2, "dropped": 0, "late": 0, "repeated": 3, "ahead": 0}
    one.beat(CLOSED)
    assert one.minutes == [(-20.0, {"current": (2, 4.0, 10.0, 1.0, 3.0)})]


def test_within_grace_a_late_reading_counts_in_its_own_minute(feeder: Make) -> None:
    one = feeder()
    one.send(*rows(30))
    one.send(*rows(49.999))
    one.send(*rows(30.001, current=2))  # its pane and minute end at 40, and the grace at 50
    assert one.totals["late"] == 0
    one.send(*rows(CLOSED - 0.001), *rows(30.002))
    assert one.totals["late"] == 1
    assert one.minutes == []
    one.send(*rows(CLOSED))
    assert one.minutes == [(-20.0, {"current": (2, 3.0, 5.0, 1.0, 2.0)})]


def test_beyond_grace_it_is_counted_and_not_judged(feeder: Make) -> None:
    one = feeder()
    one.send(*rows(30))
    before = one.state.pack({})
    assert one.send({"s": 19.999, "voltage": 0}) == []
    assert one.totals == {"judged": 1, "dropped": 0, "late": 1, "repeated": 0, "ahead": 0}
    assert one.state.pack({}) == before
    assert [event.rule for event in one.send({"s": 20, "voltage": 0})] == ["interruption"]


def test_rows_of_one_batch_close_minutes_between_them(feeder: Make) -> None:
    one = feeder()
    one.send(*rows(0, CLOSED + 5, 5))
    assert one.totals == {"judged": 2, "dropped": 0, "late": 1, "repeated": 0, "ahead": 0}
    assert one.minutes == [(-20.0, {"current": (1, 1.0, 1.0, 1.0, 1.0)})]


def test_a_heartbeat_closes_minutes(feeder: Make) -> None:
    one = feeder()
    one.send(*rows(0, 35, 42))
    one.beat(CLOSED - 0.001)
    assert one.minutes == []
    one.beat(CLOSED)
    assert [start for start, _ in one.minutes] == [-20.0]
    one.beat(1000)
    assert [start for start, _ in one.minutes] == [-20.0, 40.0]
    one.beat(500)  # an older one changes nothing
    assert one.state.clock == 1_700_000_000_000 + 1_000_000


def test_a_heartbeat_may_be_the_first_that_is_heard(feeder: Make) -> None:
    one = feeder()
    one.beat(100)
    one.send(*rows(100), *rows(79))
    assert one.totals == {"judged": 1, "dropped": 0, "late": 1, "repeated": 0, "ahead": 0}


def test_a_minute_without_readings_gives_no_rollup(feeder: Make) -> None:
    one = feeder()
    one.send(*rows(0, 105))
    one.beat(300)
    assert [start for start, _ in one.minutes] == [-20.0, 100.0]


def test_one_clock_ahead_makes_nobody_late(feeder: Make) -> None:
    one = feeder()
    for second in range(120):
        ahead = 40 if second >= 30 else 0
        one.send(
            *({"meter": f"M{number}", "s": second, "voltage": 230} for number in range(4)),
            {"meter": "X", "s": second + ahead, "voltage": 230},
        )
    assert one.totals["late"] == 0
    assert one.totals["ahead"] == 90
    assert [(event.meter, event.rule, event.change) for event in one.events] == [("X", "silent", "OPENED")]


def test_all_clocks_ahead_are_a_pause_of_all(feeder: Make) -> None:
    one = feeder()
    for second in [*range(30), *range(500, 530)]:
        one.send(*({"meter": f"M{number}", "s": second, "voltage": 230} for number in range(5)))
    assert one.totals == {"judged": 299, "dropped": 0, "late": 0, "repeated": 0, "ahead": 1}
    assert one.events == []


def test_hourly_meters_are_not_in_doubt_after_one_was_missed(feeder: Make) -> None:
    one = feeder()
    for hour in range(40):
        meters = [f"M{number}" for number in range(5) if number or hour not in {20, 21}]
        for meter in meters:
            one.send({"meter": meter, "s": 3600 * hour, "voltage": 230})
    assert one.totals == {"judged": 198, "dropped": 0, "late": 0, "repeated": 0, "ahead": 0}
