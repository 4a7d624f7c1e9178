import pytest
from pydantic import ValidationError

from gridpulse_influx_sink.settings import InfluxSinkSettings


@pytest.mark.parametrize(
    ("text", "seconds"), [("30d", 2_592_000), ("12h", 43_200), ("52w", 31_449_600), ("60m", 3600), ("0", 0), ("0d", 0)]
)
def test_retention(text: str, seconds: int) -> None:
    assert InfluxSinkSettings(influx_retention=text).influx_retention == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "59m", "1.5d", "30 days", "forever", "9999999999d"])
def test_what_is_no_retention(text: str) -> None:
    with pytest.raises(ValidationError, match=r"InfluxDB keeps|expected a duration"):
        InfluxSinkSettings(influx_retention=text)


def test_a_bucket_made_here_forgets() -> None:
    assert InfluxSinkSettings().influx_retention == 30 * 86_400
