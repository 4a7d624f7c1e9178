"""What the benchmarks refuse before they start anything."""

import sys
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from options import at_least, new_file, numbers


@pytest.mark.parametrize("text", ["9", "-10", "10.5", "ten", "", "1e3"])
def test_what_is_no_number_or_too_small_is_refused(text: str) -> None:
    assert at_least(10)("10") == 10
    with pytest.raises(ArgumentTypeError, match="no whole number of 10 or more"):
        at_least(10)(text)


def test_numbers_are_comma_separated() -> None:
    assert numbers("1000,10000") == [1000, 10_000]
    for text in ("1,,2", "", "1;2", "0"):
        with pytest.raises(ArgumentTypeError):
            numbers(text)


def test_figures_need_a_file_in_a_folder_that_exists(tmp_path: Path) -> None:
    assert new_file(str(tmp_path / "a.json")) == tmp_path / "a.json"
    assert new_file("a.json") == Path("a.json")
    with pytest.raises(ArgumentTypeError, match="it is a folder"):
        new_file(str(tmp_path))
    with pytest.raises(ArgumentTypeError, match="does not exist"):
        new_file(str(tmp_path / "none" / "a.json"))
