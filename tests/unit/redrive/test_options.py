"""Times, places and filters as people write them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gridpulse_redrive.letters import Letter, Wanted
from gridpulse_redrive.options import moment, place, wanted
from gridpulse_runtime.errors import UsageError

NOW = 1_700_000_000.5


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2h", 1_699_992_800_500),
        ("1.5m", 1_699_999_910_500),
        ("7d", 1_699_395_200_500),
        ("0s", 1_700_000_000_500),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000),
        ("2023-11-14T23:13:20.250+01:00", 1_700_000_000_250),
        ("2023-11-14 22:13:20", 1_700_000_000_000),
    ],
)
def test_times(text: str, ms: int) -> None:
    assert moment("--since", text, NOW) == ms


@pytest.mark.parametrize("text", ["", "2", "2 hours", "-2h", "yesterday", "2023-13-01"])
def test_what_is_no_time_names_its_option(text: str) -> None:
    with pytest.raises(UsageError, match="--until"):
        moment("--until", text, NOW)


@pytest.mark.parametrize("text", ["", "7", "0:", ":7", "a:b", "-1:7", "0:7:9", "0:9999999999999999999"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(UsageError, match="PARTITION:OFFSET"):
        place(text)
    assert place("3:0017") == (3, 17)


def test_a_topic_without_dead_letters_is_refused() -> None:
    with pytest.raises(UsageError, match=r"grid\.anomalies"):
        wanted("grid.anomalies", None, None, None, None)
    assert wanted("grid.sinks.dlq", None, None, None, None).topics == ("grid.sinks.dlq",)


@pytest.mark.parametrize(
    ("filters", "taken"),
    [
        ({}, True),
        ({"topics": ("grid.sinks.dlq",)}, False),
        ({"reason": "refused"}, True),
        ({"reason": "refuse"}, False),
        ({"app": "ingest"}, True),
        ({"app": "alerter"}, False),
        ({"since": 1_700_000_000_000, "until": 1_700_000_000_001}, True),
        ({"since": 1_700_000_000_001}, False),
        ({"until": 1_700_000_000_000}, False),
    ],
)
def test_every_filter_must_agree(letter: Callable[..., Letter], filters: dict[str, object], taken: bool) -> None:
    assert Wanted(**filters).takes(letter()) is taken  # type: ignore[arg-type]
