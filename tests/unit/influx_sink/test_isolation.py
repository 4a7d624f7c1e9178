from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpulse_influx_sink.isolation import TRIES, write_isolating
from gridpulse_runtime.errors import RefusedError, UnavailableError


@given(st.integers(0, 70), st.data())
def test_the_bad_are_found_and_all_others_written(count: int, data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.integers(0, max(0, count - 1)), max_size=count))
    written: Counter[int] = Counter()
    offered: Counter[int] = Counter()

    def write(units: Sequence[int]) -> None:
        offered.update(units)
        if bad.intersection(units):
            raise RefusedError("bad")
        written.update(units)

    refused = write_isolating(list(range(count)), write)
    assert {unit for unit, _ in refused} == bad & set(range(count))
    assert set(written) == set(range(count)) - bad
    assert all(offered[unit] >= TRIES for unit, _ in refused)


def test_an_outage_is_not_a_refusal() -> None:
    def write(units: Sequence[int]) -> None:
        raise UnavailableError("down")

    with pytest.raises(UnavailableError):
        write_isolating([1, 2], write)
