"""Which records a part takes."""

from collections.abc import Callable
from typing import Any

import pytest

from gridpulse_alerter.topology import addressed_to, fresh

Headers = list[tuple[str, bytes]] | None
FOR_ALERTER = ("gridpulse-redrive", b"alerter")
FOR_A = ("gridpulse-receiver", b"a")


class Marks(dict[bytes, bytes]):
    """State without Kafka."""

    def get_bytes(self, key: bytes) -> bytes | None:
        return self.get(key)

    def set_bytes(self, key: bytes, value: bytes) -> None:
        self[key] = value


@pytest.mark.parametrize(
    ("headers", "taken_by"),
    [
        (None, {"a", "b", ""}),
        ([], {"a", "b", ""}),
        ([("other", b"x")], {"a", "b", ""}),
        ([FOR_A], {"a", "b", ""}),
        ([FOR_ALERTER], {"a", "b", ""}),
        ([FOR_ALERTER, FOR_A], {"a"}),
        ([("gridpulse-redrive", b"influx-sink")], set()),
        ([("gridpulse-redrive", b"influx-sink"), FOR_A], set()),
    ],
)
def test_whom_a_record_is_for(headers: Headers, taken_by: set[str]) -> None:
    assert {name for name in ("a", "b", "") if addressed_to(name)({}, b"k", 0, headers)} == taken_by


def test_a_repeat_is_dropped_but_not_what_is_sent_again_on_purpose(event: Callable[..., Any]) -> None:
    check, state = fresh("a"), Marks()
    assert check(event(), b"k", 0, None, state)
    before = dict(state)
    assert not check(event(), b"k", 0, None, state)
    assert check(event(), b"k", 0, [FOR_ALERTER], state)
    assert state == before, "no mark moves"
