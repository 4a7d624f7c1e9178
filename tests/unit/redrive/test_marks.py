"""What is marked is known again, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from gridpulse_redrive.letters import Letter
from gridpulse_redrive.marks import Marks, mark

ids = st.tuples(
    st.sampled_from(["meter.readings.dlq", "grid.sinks.dlq"]), st.integers(0, 3), st.integers(0, 5), st.integers(1, 2)
)


@given(st.sets(ids), st.sets(ids))
def test_a_letter_is_known_by_its_place_and_its_time(
    sent: set[tuple[str, int, int, int]], others: set[tuple[str, int, int, int]]
) -> None:
    by_place = {place[:3]: place for place in sent}  # a place holds one letter at a time; the newest mark counts
    letters = [Letter(*place, None, None) for place in by_place.values()]
    marks = Marks([(one.id.encode(), mark(one, "meter.readings", None, "now", replaced=False)) for one in letters])
    assert len(marks) == len(letters)
    for place in sent | others:
        assert marks.has(Letter(*place, None, None)) == (by_place.get(place[:3]) == place)


def test_what_is_no_mark_is_passed_over(letter: Callable[..., Letter]) -> None:
    one = letter()
    good = mark(one, "meter.readings", None, "2026-01-31T12:00:00.000+00:00", replaced=True)
    garbage = [(None, None), (b"\xff", good), (one.id.encode(), b"{}"), (b"x", b"[]"), (b"x", b"\x00")]
    marks = Marks([*garbage, (one.id.encode(), good)])
    assert (len(marks), marks.has(one)) == (1, True)
    assert json.loads(good) == {
        "sent_at": "2026-01-31T12:00:00.000+00:00",
        "to": "meter.readings",
        "for": None,
        "letter_timestamp": 1_700_000_000_000,
        "replaced": True,
    }
