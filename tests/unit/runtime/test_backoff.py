import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpulse_runtime.backoff import FIRST, LONGEST, LONGEST_ASKED, Backoff


def test_pauses_double_to_the_longest() -> None:
    backoff = Backoff(lambda: 0.0)
    assert [backoff.pause() for _ in range(11)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]
    assert backoff.waiting
    backoff.reset()
    assert (backoff.waiting, backoff.pause()) == (False, FIRST)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_chance_shortens_a_pause_by_half_at_most_and_not_the_growth(chances: list[float]) -> None:
    drawn = iter(chances)
    backoff = Backoff(lambda: next(drawn))
    for attempt, chance in enumerate(chances):
        assert backoff.pause() == min(FIRST * 2**attempt, LONGEST) * (1 - chance / 2)


def test_two_replicas_do_not_come_back_together() -> None:
    assert Backoff().pause() != Backoff().pause()


@pytest.mark.parametrize(("asked", "pause"), [(None, 0.1), (0.0, 0.1), (0.05, 0.1), (7.0, 7.0), (1e9, LONGEST_ASKED)])
def test_a_destination_that_asks_for_a_pause_gets_it(asked: float | None, pause: float) -> None:
    assert Backoff(lambda: 0.0).pause(asked) == pause
