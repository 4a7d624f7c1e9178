"""The usual message: feeder, source and meters as in the one before. It is read and judged in one compiled call.

What is usual is most of all messages, and Python around them cost more than judging them (docs/benchmarks.md).
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gridpulse_detector import kernel
from gridpulse_detector.feeder import Feeder
from gridpulse_detector.state import origin_row
from gridpulse_detector.wiring import Wiring
from gridpulse_detector.workbench import Workbench
from gridpulse_schemas import COLUMNS, ReadingBatch
from gridpulse_schemas.columnar import (
    BASE,
    HAS_ORIGIN,
    INTERVAL,
    OFFSET,
    OFFSET_MS,
    OFFSETS,
    PARTITION,
    SENT_AT,
    SLOTS,
    STATUS,
    gather,
    is_even,
    put_text,
    scan_numbers,
)
from gridpulse_schemas.columns import FLOATS, WIDTHS
from gridpulse_schemas.compiled import compiled, entry, inlined
from gridpulse_schemas.wire import FRAME, INT_MAX, INT_MIN, read_int32s, read_ints

__all__ = ["OTHER", "Rows", "Scratch", "Usual", "ends_of", "judge_usual"]

FRAME_SIZE, REGISTERS = FRAME.size, len(COLUMNS) - FLOATS
OTHER = -1
"""Why nothing was done: the message is not like the one before."""


class Rows(NamedTuple):
    """What a batch measured, as the kernel takes it; arrays are of `rows` items but for the two matrices."""

    base_ms: int
    offset_ms: npt.NDArray[np.int32]
    places: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]
    registers: npt.NDArray[np.float64]
    status: npt.NDArray[np.int32]
    keep: npt.NDArray[np.bool_]
    interval_ms: int
    offset: int


class Scratch(NamedTuple):
    """Where a message is unpacked to: `values` float32 (signals, rows), `registers` float64 (2, rows), others (rows,)."""

    found: npt.NDArray[np.int64]
    offset_ms: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]
    registers: npt.NDArray[np.float64]
    status: npt.NDArray[np.int32]
    keep: npt.NDArray[np.bool_]
    origins: npt.NDArray[np.int64]

    @classmethod
    def of(cls, rows: int) -> "Scratch":
        """Room for `rows` rows."""
        return cls(
            np.zeros(SLOTS, np.int64), np.zeros(rows, np.int32), np.zeros((FLOATS, rows), np.float32),
            np.zeros((REGISTERS, rows)), np.zeros(rows, np.int32), np.zeros(rows, np.bool_), np.zeros(rows, np.int64),
        )  # fmt: skip

    def first(self, rows: int) -> "Scratch":
        """The beginning of the same memory, for `rows` rows, of which there is room."""
        values = self.values.reshape(-1)[: FLOATS * rows].reshape(FLOATS, rows)
        registers = self.registers.reshape(-1)[: REGISTERS * rows].reshape(REGISTERS, rows)
        return Scratch(
            self.found, self.offset_ms[:rows], values, registers, self.status[:rows], self.keep[:rows], self.origins[:rows]
        )


class Usual:
    """A feeder as a batch left it, ready for the next one like it; of no use once anything else has touched its state."""

    __slots__ = (
        "arguments", "bench", "call", "ends", "episodes", "feeder", "grown", "places", "scratch", "wiring",
    )  # fmt: skip

    def __init__(
        self, ends: tuple[bytes, bytes], scratch: Scratch, feeder: Feeder, wiring: Wiring, places: npt.NDArray[np.int32],
        bench: Workbench,
    ) -> None:  # fmt: skip
        """`ends` of a message, see `ends_of`; `places` int32 (rows,)."""
        state = feeder.state
        self.ends, self.feeder, self.wiring, self.places = ends, feeder, wiring, places
        self.scratch, self.episodes = scratch.first(places.size), state.episodes
        self.bench, self.grown = bench, bench.grown
        head, tail = (np.frombuffer(end, np.uint8) for end in ends)
        self.arguments = (head, tail, WIDTHS, *self.scratch, state.origins, places, *bench.judging(state, wiring))
        self.call = judge_usual

    def judge(self, message: bytes, offset: int) -> tuple[int, int, int, int, int]:
        """See `judge_usual`."""
        judged = self.call(np.frombuffer(message, np.uint8), offset, *self.arguments)
        if self.call is judge_usual:
            self.call = entry(judge_usual)  # numba has looked at the arguments, which stay
        return judged

    def rows(self, offset: int) -> Rows:
        """What the message last judged measured."""
        found, scratch = self.scratch.found, self.scratch
        return Rows(
            int(found[BASE]), scratch.offset_ms, self.places, scratch.values, scratch.registers, scratch.status, scratch.keep,
            int(found[INTERVAL]), offset,
        )  # fmt: skip

    def is_current(self) -> bool:
        """Whether the arrays are those it had: of the state's, only the episodes get and lose room while judging."""
        return self.episodes is self.feeder.state.episodes and self.grown == self.bench.grown


def ends_of(message: bytes, batch: ReadingBatch) -> tuple[bytes, bytes] | None:
    """The bytes before the first number of `message`, and its roster; None where `batch` was not read column by column."""
    if batch.matrices is None or not batch.rows:
        return None
    head = message[: FRAME.size] + put_text(batch.feeder_id) + put_text(batch.source)
    return (head, batch.roster.raw) if message.startswith(head) else None


@compiled
def judge_usual(
    data: npt.NDArray[np.uint8],
    offset: int,
    head: npt.NDArray[np.uint8],
    tail: npt.NDArray[np.uint8],
    widths: npt.NDArray[np.int64],
    found: npt.NDArray[np.int64],
    offset_ms: npt.NDArray[np.int32],
    values: npt.NDArray[np.float32],
    registers: npt.NDArray[np.float64],
    status: npt.NDArray[np.int32],
    keep: npt.NDArray[np.bool_],
    row_origins: npt.NDArray[np.int64],
    origins: npt.NDArray[np.int64],
    places: npt.NDArray[np.int32],
    assets: npt.NDArray[Any],
    deadbands: npt.NDArray[np.float64],
    limits: npt.NDArray[Any],
    holds: npt.NDArray[Any],
    signal_rows: npt.NDArray[np.int32],
    scored_rows: npt.NDArray[np.int32],
    rollup_rows: npt.NDArray[np.int32],
    pane_ms: int,
    grace_ms: int,
    minute_grace_ms: int,
    hour_grace_ms: int,
    feeder: npt.NDArray[Any],
    heard: npt.NDArray[Any],
    past: npt.NDArray[Any],
    window: npt.NDArray[Any],
    panes: npt.NDArray[Any],
    aggregates: npt.NDArray[Any],
    scores: npt.NDArray[Any],
    slots: npt.NDArray[np.int32],
    episodes: npt.NDArray[Any],
    findings: npt.NDArray[Any],
    events: npt.NDArray[Any],
    tally: npt.NDArray[Any],
    counts: npt.NDArray[np.int64],
) -> tuple[int, int, int, int, int]:
    """Judge the message `data`: what `kernel.judge` returns, the rows dropped as repeats of a source, and `sent_at`.

    OTHER for one that does not begin with `head` and end with `tail`, or that has anything to be looked at: then nothing has
    changed but scratch. `found` to `row_origins` are Scratch; the rest is as for `kernel.judge`.
    """
    other = (0, 0, OTHER, 0, 0)
    roster = data.size - tail.size
    if not lies_at(data, 0, head) or not lies_at(data, roster, tail):
        return other
    if scan_numbers(data, FRAME_SIZE, widths, found) != roster or not is_even(found, widths.size, places.size):
        return other
    if not INT_MIN <= found[INTERVAL] <= INT_MAX:
        return other
    if not read_int32s(data, found[OFFSET_MS], offset_ms):
        return other
    if found[STATUS + 1] == 0:
        status[:] = 0
    elif not read_int32s(data, found[STATUS], status):
        return other
    keep[:] = True
    dropped = 0
    if found[HAS_ORIGIN] == 1:
        mark = origin_row(origins, found[PARTITION])
        if mark < 0 or found[OFFSET] <= origins[mark, 1]:
            return other
        if found[OFFSETS + 1] != 0:
            read_ints(data, found[OFFSETS], row_origins)
            for row in range(places.size):
                keep[row] = row_origins[row] > origins[mark, 1]
                dropped += 0 if keep[row] else 1
            if dropped == places.size:
                return other
        origins[mark, 1] = found[OFFSET]
    gather(data, found, 0, values)
    gather(data, found, FLOATS, registers)
    counts[:] = 0
    start, filled, why = kernel.judge(
        0, found[BASE], offset_ms, places, values, registers, status, keep, found[INTERVAL], offset, assets, deadbands, limits,
        holds, signal_rows, scored_rows, rollup_rows, pane_ms, grace_ms, minute_grace_ms, hour_grace_ms, feeder, heard, past,
        window, panes, aggregates, scores, slots, episodes, findings, events, tally, counts,
    )  # fmt: skip
    return start, filled, why, dropped, found[SENT_AT]


@inlined
def lies_at(data: npt.NDArray[np.uint8], start: int, part: npt.NDArray[np.uint8]) -> bool:
    """Whether `data` holds `part` at `start`."""
    if start < 0 or data.size - start < part.size:
        return False
    differing = 0  # all of them are compared: a loop that may end early is not done sixteen at a time
    there = data[start : start + part.size]
    for i in range(part.size):
        differing |= there[i] ^ part[i]
    return differing == 0
