"""What people and programs see of a letter."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from gridpulse_redrive.letters import Letter
from gridpulse_redrive.listing import table
from gridpulse_redrive.showing import record_of, shown, value_of
from gridpulse_schemas import Codec, DecodeError, RegistryUnavailableError

Make = Callable[..., Letter]


class Store:
    """A registry in memory."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.down = False

    def register(self, subject: str, text: str) -> int:
        assert subject.startswith("gridpulse.")
        self.texts.append(text)
        return len(self.texts)

    def fetch(self, schema_id: int) -> str:
        if self.down:
            raise RegistryUnavailableError("down")
        if not 1 <= schema_id <= len(self.texts):
            raise DecodeError("unknown_schema", f"no schema {schema_id}")
        return self.texts[schema_id - 1]


READING = {"meter_id": "m1", "feeder_id": "f1", "timestamp": 1_700_000_000_000, "voltage": float("nan"), "status": 0}


@pytest.fixture
def store() -> Store:
    return Store()


def test_a_value_is_read_by_its_schema(store: Store) -> None:
    raw = Codec(store).encode("MeterReading", READING)
    kind, content = value_of(raw, store)
    assert (kind, content["meter_id"], content["voltage"]) == ("MeterReading", "m1", None)
    json.dumps(content, allow_nan=False)


def test_a_notification_is_json(store: Store) -> None:
    assert value_of(b'{"type": "anomaly.opened"}', store) == ("JSON", {"type": "anomaly.opened"})


@pytest.mark.parametrize("raw", [b"\x01", b"\x00\x00\x00\x00\x09body", b"\x00\x00\x00\x00\x01\xff\xff", b"", b"\xff" * 4096])
def test_what_nothing_reads_is_hex_with_the_reason(store: Store, raw: bytes) -> None:
    Codec(store)
    kind, content = value_of(raw, store)
    assert kind.startswith("bytes (")
    assert bytes.fromhex(content) == raw


def test_without_a_registry_the_bytes_are_shown(store: Store) -> None:
    raw = Codec(store).encode("MeterReading", READING)
    store.down = True
    kind, content = value_of(raw, store)
    assert "registry does not answer" in kind
    assert bytes.fromhex(content) == raw


def test_a_letter_without_value(store: Store, letter: Make) -> None:
    assert value_of(None, store) == ("nothing", None)
    assert "value  0 bytes, nothing" in shown(letter(value=None, key=None), ("nothing", None), sent=False)


def test_people_see_headers_and_a_bounded_value(letter: Make) -> None:
    text = shown(letter(), ("bytes (malformed: short)", "ab" * 5000), sent=True)
    assert text.startswith("meter.readings.dlq, partition 0, offset 7, sent again\nkey  feeder-1\n")
    assert "  gridpulse-reason     refused\n" in text
    assert len(text) < 1000
    assert '"asset": "é"' in shown(letter(), ("Asset", {"asset": "é"}), sent=False)


def test_programs_get_one_object(letter: Make) -> None:
    record = record_of(letter(key=b"\xff"), sent=True)
    assert json.loads(json.dumps(record)) == record
    assert (record["key"], record["reason"], record["sent_again"], record["bytes"]) == ("\\xff", "refused", True, 6)


def test_letters_are_counted_by_topic_reason_and_app(letter: Make) -> None:
    found = [
        (letter(timestamp=1_700_000_060_000), False),
        (letter(offset=8), True),
        (letter("grid.sinks.dlq", headers={"reason": None}), False),
    ]
    assert table(found).splitlines() == [
        "TOPIC               REASON   APP          LETTERS  SENT AGAIN  FIRST                LAST",
        "grid.sinks.dlq      -        influx-sink        1           0  2023-11-14 22:13:20  2023-11-14 22:13:20",
        "meter.readings.dlq  refused  ingest             2           1  2023-11-14 22:13:20  2023-11-14 22:14:20",
    ]
    assert table([]) == "no dead letters\n"
