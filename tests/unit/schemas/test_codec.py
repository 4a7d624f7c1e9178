"""Both decoders, held to each other; and bytes that nobody should have sent."""

import contextlib
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridpulse_schemas import COLUMN_NAMES, COLUMNS, Codec, DecodeError, Origin, Reading, ReadingBatch, Roster, columnar, generic
from gridpulse_schemas.codec import VAIN_SECONDS, VAIN_SHARE
from gridpulse_schemas.definitions import definition, parse
from gridpulse_schemas.reading import decode_reading
from gridpulse_schemas.wire import frame, put_long

BATCH, READING = parse(definition("MeterReadingBatch")), parse(definition("MeterReading"))
ASSET = {
    "asset_id": "meter-1",
    "asset_type": "METER",
    "parent_id": "transformer-1",
    "feeder_id": None,
    "nominal_voltage": 230.0,
    "rated_current": 60.0,
    "rated_power": 0.0,
    "phases": 1,
    "customer_kind": "residential",
    "has_generation": False,
}
ids = st.text(max_size=12)
int32 = st.integers(-(2**31), 2**31 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)


class Store:
    """A registry in a list: the ids are the places."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def register(self, subject: str, text: str) -> int:
        del subject
        self.texts.append(text)
        return len(self.texts)

    def fetch(self, schema_id: int) -> str:
        if not 1 <= schema_id <= len(self.texts):
            raise DecodeError("unknown_schema", f"no schema has id {schema_id}")
        return self.texts[schema_id - 1]


@st.composite
def batches(draw: st.DrawFn) -> ReadingBatch:
    rows = draw(st.integers(0, 5))
    floats = st.floats(width=32)
    columns = {}
    for column in COLUMNS:
        if rows and draw(st.booleans()):
            values = draw(st.lists(floats if column.dtype == np.dtype("<f4") else st.floats(), min_size=rows, max_size=rows))
            columns[column.name] = np.array(values, column.dtype)
    origin = None
    if draw(st.booleans()):
        offsets = draw(st.sampled_from([0, rows]))
        origin = Origin(draw(int32), draw(int64), np.array(draw(st.lists(int64, min_size=offsets, max_size=offsets)), np.int64))
    status = draw(st.sampled_from([0, rows]))
    return ReadingBatch(
        feeder_id=draw(ids),
        roster=Roster.of(draw(st.lists(ids, min_size=rows, max_size=rows))),
        base_timestamp=draw(int64),
        offset_ms=np.array(draw(st.lists(int32, min_size=rows, max_size=rows)), np.int32),
        columns=columns,
        status=np.array(draw(st.lists(int32, min_size=status, max_size=status)), np.int32),
        source=draw(ids),
        sent_at=draw(int64),
        interval_ms=draw(int32),
        origin=origin,
    )


def as_text(batch: ReadingBatch) -> str:
    return repr(generic.batch_to_record(batch))  # repr, so that NaN equals NaN


@given(batches())
def test_both_paths_write_the_same_bytes(batch: ReadingBatch) -> None:
    assert columnar.encode_batch(batch) == generic.encode_record(generic.batch_to_record(batch), BATCH)


@given(batches())
def test_both_paths_read_the_same_values(batch: ReadingBatch) -> None:
    data = columnar.encode_batch(batch)
    fast = columnar.decode_batch(data, 0)
    slow = generic.batch_from_record(generic.decode_record(data, 0, BATCH, BATCH))
    assert fast is not None
    assert as_text(fast) == as_text(slow) == as_text(batch)


@settings(max_examples=400)
@given(batches(), st.data())
def test_damaged_bytes_give_a_batch_or_a_decode_error(batch: ReadingBatch, data: st.DataObject) -> None:
    codec = Codec(Store())
    message = bytearray(codec.encode_batch(batch))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(message)))
    for damaged in (bytes(message), bytes(message[:cut])):
        decoded: Any = None
        with contextlib.suppress(DecodeError):
            decoded = codec.decode_readings(damaged)
        if isinstance(decoded, ReadingBatch):
            assert decoded.offset_ms.size == decoded.rows == len(decoded.roster.ids)


@settings(max_examples=400)
@given(st.binary(max_size=200))
def test_random_bytes_never_crash_either_path(data: bytes) -> None:
    for decode in (
        lambda: columnar.decode_batch(data, 0),
        lambda: generic.batch_from_record(generic.decode_record(data, 0, BATCH, BATCH)),
    ):
        with contextlib.suppress(DecodeError):
            decode()


def one_row() -> ReadingBatch:
    return ReadingBatch("F1", Roster.of(["M1"]), 1_700_000_000_000, np.zeros(1, np.int32), {"voltage": np.array([230], "<f4")})


def head(batch: ReadingBatch) -> bytes:
    """Everything before the offset_ms array."""
    return columnar.put_text(batch.feeder_id) + columnar.put_text("") + put_long(0) + put_long(batch.base_timestamp) + b"\0\0"


@pytest.mark.parametrize("count", [2**62, 2**31, 1000, -(2**62), -(2**63), 2**63 - 1])
def test_a_hostile_count_is_refused_at_once(count: int) -> None:
    data = head(one_row()) + put_long(count) + b"\0" * 50
    with pytest.raises(DecodeError, match="malformed"):
        Codec(Store()).decode_readings(frame(2) + data)


@pytest.mark.parametrize("milliseconds", [1, 5, 100, 3000])
def test_a_flood_of_unknown_ids_takes_a_small_share_of_the_time(milliseconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    store, now, asked = Store(), [0.0], []
    monkeypatch.setattr("gridpulse_schemas.codec.time.monotonic", lambda: now[0])
    fetch = store.fetch

    def slowly(schema_id: int) -> str:
        asked.append(schema_id)
        now[0] += milliseconds / 1000
        return fetch(schema_id)

    store.fetch = slowly  # type: ignore[method-assign]
    codec = Codec(store)
    for schema_id in range(1000, 21_000):
        now[0] += 0.001
        with pytest.raises(DecodeError, match="unknown_schema"):
            codec.decode_readings(frame(schema_id) + b"x")
    spent = len(asked) * milliseconds / 1000
    assert VAIN_SECONDS <= spent <= VAIN_SECONDS + VAIN_SHARE * now[0] + milliseconds / 1000


def test_a_flood_of_one_unknown_id_keeps_nothing_of_its_messages() -> None:
    codec = Codec(Store())
    message = frame(77) + b"x"
    depths = []
    for _ in range(3):
        with pytest.raises(DecodeError, match="unknown_schema") as refusal:
            codec.decode_readings(message)
        depths.append(len(refusal.traceback))
    assert depths[1] == depths[2]


@pytest.mark.parametrize("name", ["MeterReading", "MeterReadingBatch"])
def test_a_schema_of_our_name_that_does_not_resolve_is_refused(name: str) -> None:
    store = Store()
    codec = Codec(store)
    fields = [{"name": "feeder_id", "type": {"type": "array", "items": "null"}}]
    foreign = store.register("foreign", json.dumps({"type": "record", "name": name, "namespace": "gridpulse", "fields": fields}))
    with pytest.raises(DecodeError, match="schema_mismatch"):
        codec.decode_readings(frame(foreign) + put_long(3) + b"\0")


def test_a_count_that_claims_100_mb_of_floats_is_refused() -> None:
    data = head(one_row()) + b"\0" + put_long(25_000_000) + b"\0" * 100
    with pytest.raises(DecodeError, match="malformed"):
        Codec(Store()).decode_readings(frame(2) + data)


def test_other_block_layouts_go_through_fastavro_to_the_same_values() -> None:
    """Avro lets a writer split arrays, and give a block's size with a negative count."""
    batch = one_row()
    data = head(batch) + put_long(-1) + put_long(1) + b"\0" + b"\0"
    data += put_long(1) + struct.pack("<f", 230.0) + b"\0" + b"\0" * (len(COLUMNS) - 1) + b"\0"
    data += put_long(-1) + put_long(3) + columnar.put_text("M1") + b"\0"
    assert columnar.decode_batch(data, 0) is None
    decoded = Codec(Store()).decode_batch(frame(2) + data)
    assert as_text(decoded) == as_text(batch)


def test_uneven_columns_are_refused_by_both_paths() -> None:
    record = {**generic.batch_to_record(one_row()), "current": [1.0, 2.0]}
    data = generic.encode_record(record, BATCH)
    with pytest.raises(DecodeError, match="differ in length"):
        columnar.decode_batch(data, 0)
    with pytest.raises(DecodeError, match="differ in length"):
        generic.batch_from_record(generic.decode_record(data, 0, BATCH, BATCH))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (None, "bad_frame"),
        (b"", "bad_frame"),
        (b"\0\0\0\0", "bad_frame"),
        (b"\1\0\0\0\1rest", "bad_frame"),
        (frame(999) + b"rest", "unknown_schema"),
        (frame(3) + b"rest", "schema_mismatch"),
    ],
)
def test_frames_that_lead_nowhere(message: bytes | None, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        Codec(Store()).decode_readings(message)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "record", "name": "MeterReading", "namespace": "gridpulse", "fields": [{"name": "x", "type": "gone"}]}',
        '{"type": "record", "name": "MeterReading"}',
        "[1, 2]",
        "not json",
    ],
)
def test_a_registered_text_that_is_no_schema(text: str) -> None:
    store = Store()
    codec = Codec(store)
    with pytest.raises(DecodeError, match="schema_mismatch"):
        codec.decode_readings(frame(store.register("x", text)) + b"\0")


def test_endless_items_without_bytes_are_refused() -> None:
    store = Store()
    codec = Codec(store)
    nulls: dict[str, Any] = {"name": "x", "type": {"type": "array", "items": "null"}}
    text = json.dumps({"type": "record", "name": "MeterReading", "namespace": "gridpulse", "fields": [nulls]})
    with pytest.raises(DecodeError, match="malformed"):
        codec.decode_readings(frame(store.register("x", text)) + put_long(2**62) + b"\0")


def test_another_version_of_the_writer_is_resolved() -> None:
    """An older head-end that knows fewer fields, and a newer one that knows more."""
    store = Store()
    codec = Codec(store)
    schema = json.loads(definition("MeterReading"))
    schema["fields"] = [f for f in schema["fields"] if f["name"] in ("meter_id", "feeder_id", "timestamp", "voltage")]
    schema["fields"].append({"name": "firmware", "type": "string", "default": ""})
    writer = store.register("gridpulse.MeterReading", json.dumps(schema))
    record = {"meter_id": "M1", "feeder_id": "F1", "timestamp": 5, "voltage": 229.5, "firmware": "7"}
    decoded = codec.decode_readings(frame(writer) + generic.encode_record(record, parse(json.dumps(schema))))
    assert isinstance(decoded, Reading)
    values = dict(zip(COLUMN_NAMES, decoded.values.tolist(), strict=True))
    assert values["voltage"] == 229.5
    assert np.isnan(values["current"])
    assert (decoded.meter_id, decoded.status, decoded.sent_at) == ("M1", 0, 0)


@settings(max_examples=400)
@given(st.data())
def test_our_own_records_are_the_same_with_and_without_the_walk(data: st.DataObject) -> None:
    schema = parse(definition("Asset"))
    message = bytearray(generic.encode_record(ASSET, schema))
    for _ in range(data.draw(st.integers(0, 3))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(message[: data.draw(st.integers(len(message) - 3, len(message)))]) + data.draw(st.binary(max_size=2))
    outcomes = []
    for decode in (lambda: generic.decode_own(cut, 0, schema), lambda: generic.decode_record(cut, 0, schema, schema)):
        try:
            outcomes.append(repr(decode()))
        except DecodeError as error:
            outcomes.append(f"{error.reason} {error.detail}")
    assert outcomes[0] == outcomes[1]


def test_a_number_of_more_bytes_than_it_needs_is_read_as_ever() -> None:
    schema = parse(definition("Asset"))
    written = generic.encode_record(ASSET, schema)
    longer = bytes([written[0] | 0x80, 0]) + written[1:]  # the length of asset_id in two bytes
    assert generic.decode_own(longer, 0, schema) == ASSET


@st.composite
def readings(draw: st.DrawFn) -> dict[str, Any]:
    """Records of MeterReading; numbers, NaN and infinities too, or null."""
    widths = {column.name: 32 if column.dtype == np.dtype("<f4") else 64 for column in COLUMNS}
    measured = {name: draw(st.none() | st.floats(width=width)) for name, width in widths.items()}  # type: ignore[arg-type]
    names = {"meter_id": draw(ids), "feeder_id": draw(ids)}
    return {**names, "timestamp": draw(int64), **measured, "status": draw(int32), "sent_at": draw(int64)}


@given(readings())
def test_both_paths_read_the_same_reading(record: dict[str, Any]) -> None:
    message = generic.encode_record(record, READING)
    compiled, resolved = (
        decode_reading(message, 0),
        generic.reading_from_record(generic.decode_record(message, 0, READING, READING)),
    )
    assert repr(compiled) == repr(resolved)
    for name, value in zip(COLUMN_NAMES, compiled.values.tolist(), strict=True):
        assert repr(value) == repr(np.nan if record[name] is None else record[name])


@given(readings(), st.data())
def test_damaged_bytes_give_a_reading_or_a_decode_error_on_both_paths(record: dict[str, Any], data: st.DataObject) -> None:
    message = bytearray(generic.encode_record(record, READING))
    for _ in range(data.draw(st.integers(1, 3))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(message[: data.draw(st.integers(0, len(message)))])
    compiled, resolved = read_both_ways(damaged)
    assert compiled == resolved


@given(st.binary(max_size=80))
def test_random_bytes_are_the_same_reading_to_both_paths(data: bytes) -> None:
    compiled, resolved = read_both_ways(data)
    assert compiled == resolved


def read_both_ways(data: bytes) -> list[str]:
    """What each path makes of `data`: a reading, or the reason why it is none."""
    told = []
    for read in (
        lambda: decode_reading(data, 0),
        lambda: generic.reading_from_record(generic.decode_record(data, 0, READING, READING)),
    ):
        try:
            told.append(repr(read()))
        except DecodeError as error:
            told.append(error.reason)
    return told


def test_our_own_readings_take_the_compiled_path(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = Codec(Store())
    message = codec.encode("MeterReading", {"meter_id": "M1", "feeder_id": "F1", "timestamp": 5, "voltage": 229.5})
    monkeypatch.setattr(generic, "decode_record", None)
    decoded = codec.decode_readings(message)
    assert isinstance(decoded, Reading)
    assert (decoded.meter_id, decoded.feeder_id, decoded.timestamp, decoded.values[0]) == ("M1", "F1", 5, 229.5)
    with pytest.raises(DecodeError, match="malformed"):
        codec.decode_readings(message + b"\0")
