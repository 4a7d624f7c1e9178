"""A run of the simulation: paced, sent, labelled."""

import math
from collections import Counter

import numpy as np

from gridpulse_generator.course import Course
from gridpulse_generator.faults import Fault
from gridpulse_generator.pacing import Pacer, Stop
from gridpulse_generator.plan import FaultPlan
from gridpulse_generator.progress import Progress, Summary, iso
from gridpulse_generator.sending import Sender
from gridpulse_generator.simulation import Simulation
from gridpulse_generator.truth import TruthFile, label
from gridpulse_schemas import ReadingBatch

__all__ = ["Run"]


class Run:
    """Sends ticks of `simulation` along `course`; `wall_start` is the epoch ms at which the pacer began."""

    def __init__(
        self,
        simulation: Simulation,
        plan: FaultPlan,
        course: Course,
        sender: Sender,
        *,
        pacer: Pacer,
        stop: Stop,
        wall_start: int,
        truth: TruthFile | None = None,
    ) -> None:
        self._simulation, self._plan, self._course, self._sender = simulation, plan, course, sender
        self._pacer, self._stop, self._wall_start, self._truth = pacer, stop, wall_start, truth
        self._told = 0
        self._due = 0  # readings there would be if none were lost
        self._last_event = course.start
        self._seconds = 0.0

    def go(self, progress: Progress) -> None:
        """Send until the course ends or a signal comes, then wait for Kafka. Raises UndeliveredError.

        The truth file is complete afterwards, even if this raises.
        """
        try:
            for batches in self._simulation:
                self._tell_truth()
                if not self._send_tick(batches, progress):
                    break
        finally:
            # Before the wait for Kafka, in which an impatient supervisor may kill us.
            if self._truth:
                self._truth.finish(self._label(fault) for fault in self._sent_faults())
            self._seconds = self._pacer.elapsed
        self._sender.finish()
        self._seconds = self._pacer.elapsed

    def _send_tick(self, batches: list[ReadingBatch], progress: Progress) -> bool:
        """Send the batches one by one at the pace; False when the run is over."""
        sender, course, grid = self._sender, self._course, self._simulation.grid
        tick_begin = (self._simulation.tick - 1) * grid.devices
        for batch in batches:
            number = grid.lookup[batch.feeder_id][1]
            begin = tick_begin + grid.first_device[number]
            left = math.inf if course.readings is None else course.readings - begin
            if left <= 0:
                return False
            due = begin / course.rate
            if course.hold:
                due = max(due, (batch.base_timestamp - self._wall_start) / 1000)
            self._pacer.wait_until(due)
            if self._stop.requested or self._out_of_time():
                return False
            size = grid.feeders[number].roster.count
            sender.send(batch if left >= size else _head(batch, grid.feeders[number].roster.ids[: int(left)]))
            self._due = begin + min(size, int(min(left, size)))
            self._last_event = batch.base_timestamp
            progress.update(sender.readings, batch.base_timestamp, len(self._plan.begun))
        return course.readings is None or tick_begin + grid.devices < course.readings

    def _out_of_time(self) -> bool:
        return self._course.seconds is not None and self._pacer.elapsed >= self._course.seconds

    def _tell_truth(self) -> None:
        if self._truth:
            self._truth.add(
                label(fault, self._simulation.grid, self._simulation.timestamp) for fault in self._plan.begun[self._told :]
            )
        self._told = len(self._plan.begun)

    def _last_tick(self, fault: Fault) -> int:
        """Return the tick of the last reading due of the fault's first meter; meters go out feeder by feeder."""
        grid = self._simulation.grid
        row = int(fault.meters[0])
        number = grid.feeder_of(row)
        place = grid.first_device[number] + int(np.flatnonzero(grid.rows(number) == row)[0])
        return int((self._due - 1 - place) // grid.devices)

    def _sent_faults(self) -> list[Fault]:
        return [fault for fault in self._plan.begun if fault.first <= self._last_tick(fault)]

    def _label(self, fault: Fault) -> dict[str, object]:
        return label(fault, self._simulation.grid, self._simulation.timestamp, self._last_tick(fault))

    def summary(self) -> Summary:
        """What has been sent."""
        seconds = self._seconds
        return Summary(
            readings=self._sender.readings,
            messages=self._sender.messages,
            seconds=round(seconds, 3),
            readings_per_second=round(self._sender.readings / seconds, 1) if seconds else 0.0,
            first=iso(self._course.start),
            last=iso(self._last_event),
            faults=dict(sorted(Counter(fault.kind.value for fault in self._sent_faults()).items())),
        )


def _head(batch: ReadingBatch, meters: tuple[str, ...]) -> ReadingBatch:
    """Keep the rows of `meters`."""
    return batch.take(np.isin(batch.roster.ids, meters))
