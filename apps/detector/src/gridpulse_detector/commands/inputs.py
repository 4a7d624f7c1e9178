"""INPUT of the command line: a recorded file, or a piece of the archive, as batches and as rows."""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gridpulse_detector.commands.archive import READINGS, Archive, Span, is_archived
from gridpulse_detector.commands.archived import READING_COLUMNS, ArchivedReadings
from gridpulse_detector.commands.generic import renamed, stand_in
from gridpulse_detector.commands.placed import Placed
from gridpulse_detector.commands.rows import RowIndex
from gridpulse_runtime.errors import UsageError
from gridpulse_runtime.recording import Recording, read_recording, recorded_batches

__all__ = ["Choice", "Input", "merged", "open_inputs"]

FEWEST_ROWS, MOST_ROWS = 1_000, 100_000
"""Of a batch. A feeder's state is loaded and saved with each, so a batch of a feeder of many meters holds more rows."""
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """How to read recorded files, and which event times to judge."""

    assignments: tuple[str, ...] = ()
    scales: tuple[str, ...] = ()
    meter: str | None = None
    feeder: str | None = None
    span: Span = field(default_factory=Span)


class Input(Protocol):
    """One INPUT, opened.

    `recording`: its rows; `judged`: how many of them are within the span; `series`: what it measures, where that is no signal.
    """

    name: str
    recording: Recording
    judged: int
    series: str | None

    def batches(self) -> Iterator[Placed]:
        """The batches to judge, in order."""

    def located(self, events: list[Event]) -> list[Event]:
        """`events` of these batches, with evidence that means something to who has the input."""


class RecordedInput:
    """A file with a row a reading. Evidence of its events is the row (0 is the first below the header) that decided."""

    def __init__(self, path: Path, choice: Choice) -> None:
        self.name = str(path)
        self.recording = read_recording(
            path, choice.assignments, choice.scales, any_column=True, meter=choice.meter, feeder=choice.feeder
        )
        self.series = self.recording.series.name if self.recording.series else None
        self._chosen = within(self.recording, choice.span)
        if self._chosen.series:
            self._chosen = replace(self._chosen, columns=stand_in(self._chosen))
        self.judged = int(self._chosen.times.size)
        self._rows: RowIndex | None = None
        self._ordinals: Counter[int] = Counter()

    def batches(self) -> Iterator[Placed]:
        """Rows in order of time."""
        chosen = self._chosen
        if not chosen.times.size:
            return
        pairs = np.unique(chosen.feeder * len(chosen.meter_ids) + chosen.meter)
        largest = int(np.bincount(pairs // len(chosen.meter_ids)).max())
        rows = min(MOST_ROWS, max(FEWEST_ROWS, 4 * largest))
        for number, batch in enumerate(recorded_batches(chosen, rows)):
            yield Placed(batch, self.name, 0, number)

    def located(self, events: list[Event]) -> list[Event]:
        """Evidence by row, so that it does not depend on how rows were grouped into batches."""
        if not events:
            return events
        if self.series:
            events = renamed(events, self.series)
        index = self._rows = self._rows or RowIndex(self._chosen)
        for event in events:
            row = index.find(event["asset_id"], event["feeder_id"], event["reading_timestamp"])
            first = index.find(event["asset_id"], event["feeder_id"], event["started_at"])
            event["evidence"] |= {"offset": row, "first_offset": first, "ordinal": self._ordinals[row]}
            self._ordinals[row] += 1
        return events


class ArchivedInput:
    """A piece of the archive: events have the evidence of the live ones."""

    series: str | None = None

    def __init__(self, name: str, choice: Choice) -> None:
        self.name = name
        span = choice.span
        readings = ArchivedReadings.of(list(Archive.at(name).tables(READINGS, span, READING_COLUMNS)))
        self.recording = readings.recording()
        self._readings, self._span = readings, span
        self.judged = int(within(self.recording, span).times.size)

    def batches(self) -> Iterator[Placed]:
        """The messages, whole, that have a reading or heartbeat within the span."""
        for placed in self._readings.batches():
            batch = placed.batch
            times = batch.timestamps() if batch.rows else np.array([batch.base_timestamp])
            if self._span.holds(int(times.min()), int(times.max()) + 1):
                yield placed

    def located(self, events: list[Event]) -> list[Event]:
        """As they are."""
        return events


def within(recording: Recording, span: Span) -> Recording:
    """The rows of `recording` in `span`."""
    if span.since is None and span.until is None:
        return recording
    keep = np.ones(recording.times.size, bool)
    if span.since is not None:
        keep &= recording.times >= span.since
    if span.until is not None:
        keep &= recording.times < span.until
    series = recording.series
    return replace(
        recording,
        times=recording.times[keep],
        meter=recording.meter[keep],
        feeder=recording.feeder[keep],
        columns={name: values[keep] for name, values in recording.columns.items()},
        status=recording.status[keep],
        rows=recording.rows[keep],
        series=series and replace(series, values=series.values[keep]),
    )


def open_inputs(names: Iterable[str], choice: Choice) -> list[Input]:
    """Open every INPUT. Raises UsageError where one cannot be read."""
    return [open_input(name, choice) for name in names]


def open_input(name: str, choice: Choice) -> Input:
    if name.startswith("s3://"):
        return ArchivedInput(name, choice)
    path = Path(name)
    if not path.exists():
        raise UsageError(f"{name}: no such file or folder")
    return ArchivedInput(name, choice) if is_archived(path) else RecordedInput(path, choice)


def merged(inputs: list[Input]) -> Iterator[tuple[Input, Placed]]:
    """Batches of all inputs by the time of their last row, so that a feeder recorded in several files goes on."""

    def timed(number: int, each: Input) -> Iterator[tuple[int, int, Placed]]:
        newest = 0
        for placed in each.batches():
            batch = placed.batch
            newest = max(newest, batch.span()[1])
            yield newest, number, placed

    streams = [timed(number, each) for number, each in enumerate(inputs)]
    for _, number, placed in heapq.merge(*streams, key=lambda item: item[:2]):
        yield inputs[number], placed
