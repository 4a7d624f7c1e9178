import pytest

from gridpulse_runtime.redriven import REDRIVE_HEADER, redriven_for


@pytest.mark.parametrize(
    "headers", [None, [], [("gridpulse-app", b"alerter")], [(REDRIVE_HEADER, None)], [(REDRIVE_HEADER, b"")]]
)
def test_an_ordinary_record_is_for_nobody_in_particular(headers: list[tuple[str, bytes]] | None) -> None:
    assert redriven_for(headers) is None


def test_the_app_is_named_whatever_else_stands_in_the_headers() -> None:
    assert redriven_for([("a", b"1"), (REDRIVE_HEADER, b"influx-sink"), ("b", None)]) == "influx-sink"
    assert redriven_for(((REDRIVE_HEADER, "alerter"),)) == "alerter"


def test_the_newest_of_two_redrives_counts() -> None:
    assert redriven_for([(REDRIVE_HEADER, b"influx-sink"), (REDRIVE_HEADER, b"archiver")]) == "archiver"


def test_bytes_that_are_no_text_name_no_app_there_is() -> None:
    assert redriven_for([(REDRIVE_HEADER, b"\xff")]) == "�"
