"""Messages nobody should send, seeded: what a broken head-end, a foreign program or an attacker could put into meter.readings."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from gridpulse_schemas import Codec, ReadingBatch, Registry, Roster
from gridpulse_schemas.wire import frame, put_long

__all__ = ["Hostile", "Message"]

CLAIM = 100_000_000
"""Bytes, or items, that a short message claims to hold."""
DEEP = 20_000
UNKNOWN_IDS = 2000
"""Different schema ids that the registry does not know; each has to be asked for once."""


@dataclass(frozen=True, slots=True)
class Message:
    """`kind` is how it was made."""

    kind: str
    key: bytes | None
    value: bytes


class Hostile:
    """An endless stream of messages. Registers the schemas it misuses: `now_ms` is when its valid ancestors were read."""

    def __init__(self, registry: str, seed: int, now_ms: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311
        store = Registry(registry)
        self._codec = Codec(store)
        self._batches = [self._codec.encode_batch(self._batch(number, now_ms)) for number in range(50)]
        self._singles = [
            self._codec.encode(
                "MeterReading", {"meter_id": f"fuzz-{n}", "feeder_id": f"fuzz-{n % 20}", "timestamp": now_ms, "voltage": 230.0}
            )
            for n in range(50)
        ]
        self._foreign = [store.register(subject, json.dumps(schema)) for subject, schema in SCHEMAS.items()]
        self._kinds: list[tuple[str, Callable[[], bytes]]] = [
            ("random bytes", lambda: self._rng.randbytes(self._rng.randint(0, 400))),
            ("random after a good frame", lambda: self._valid()[:5] + self._rng.randbytes(self._rng.randint(0, 400))),
            ("bits flipped", self._flipped),
            ("cut off", self._cut),
            ("bytes put in", self._stuffed),
            ("unknown schema", lambda: frame(10_000_000 + self._rng.randrange(UNKNOWN_IDS)) + self._valid()[5:]),
            ("schema of another record", self._other_schema),
            ("claims 100 MB", self._claims),
            ("nested deeply", self._nested),
        ]

    def __iter__(self) -> Iterator[Message]:
        """Never ends."""
        while True:
            kind, make = self._kinds[self._rng.randrange(len(self._kinds))]
            yield Message(kind, self._key(), make())

    def _batch(self, number: int, now_ms: int) -> ReadingBatch:
        rows = 1 + number
        return ReadingBatch(
            f"fuzz-{number % 20}",
            Roster.of(f"fuzz-{number % 20}-{row}" for row in range(rows)),
            now_ms,
            np.zeros(rows, np.int32),
            {"voltage": np.full(rows, 230, "<f4"), "active_power": np.full(rows, 900, "<f4")},
        )

    def _key(self) -> bytes | None:
        return self._rng.choice(
            (None, b"", b"fuzz-1", self._rng.randbytes(8), b"another feeder", "Straße 1".encode(), b"k" * 1000)
        )

    def _valid(self) -> bytes:
        return self._rng.choice(self._rng.choice((self._batches, self._singles)))

    def _flipped(self) -> bytes:
        data = bytearray(self._valid())
        for _ in range(self._rng.randint(1, 8)):
            data[self._rng.randrange(len(data))] ^= 1 << self._rng.randrange(8)
        return bytes(data)

    def _cut(self) -> bytes:
        data = self._valid()
        return data[: self._rng.randrange(len(data))]

    def _stuffed(self) -> bytes:
        data = self._valid()
        place = self._rng.randrange(len(data))
        return data[:place] + self._rng.randbytes(self._rng.randint(1, 64)) + data[place:]

    def _other_schema(self) -> bytes:
        claim = put_long(CLAIM) if self._rng.random() < 0.5 else b""
        return frame(self._rng.choice(self._foreign)) + claim + self._rng.randbytes(self._rng.randint(0, 200))

    def _claims(self) -> bytes:
        """A good beginning, then a length that is not there."""
        data = self._valid()
        place = self._rng.randint(5, min(len(data), 40))
        return data[:place] + put_long(self._rng.choice((CLAIM, -CLAIM, 1 << 62, -(1 << 62)))) + data[place:][:50]

    def _nested(self) -> bytes:
        """A list in a list in a list: each byte says that another follows."""
        return frame(self._foreign[0]) + b"\x02" * DEEP


SCHEMAS = {
    "fuzz.Nested-value": {
        "type": "record", "name": "Nested", "fields": [{"name": "next", "type": ["null", "Nested"], "default": None}],
    },
    "fuzz.Wide-value": {
        "type": "record", "name": "Wide", "fields": [{"name": f"f{n}", "type": "double", "default": 0.0} for n in range(500)],
    },
    "fuzz.MeterReadingBatch-value": {
        "type": "record", "name": "MeterReadingBatch", "namespace": "gridpulse",
        "fields": [{"name": "feeder_id", "type": {"type": "array", "items": {"type": "map", "values": "bytes"}}}],
    },
    "fuzz.Bomb-value": {
        "type": "record", "name": "MeterReading", "namespace": "gridpulse",
        "fields": [{"name": "bomb", "type": {"type": "array", "items": "null"}}],
    },
    "fuzz.MeterReading-value": {
        "type": "record", "name": "MeterReading", "namespace": "gridpulse",
        "fields": [{"name": "meter_id", "type": {"type": "fixed", "name": "Much", "size": CLAIM}}],
    },
}  # fmt: skip
"""By subject; the last three bear our names."""
