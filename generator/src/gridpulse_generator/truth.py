"""Ground truth: which faults were put into the readings, as JSON lines."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

from gridpulse_generator.faults import Fault
from gridpulse_generator.grid import Grid
from gridpulse_runtime.errors import UsageError

__all__ = ["TruthFile", "label"]

TimeOf = Callable[[int, int], int]


def label(fault: Fault, grid: Grid, timestamp: TimeOf, last_tick: int | None = None) -> dict[str, Any]:
    """What is known of `fault`: `start` and `end` are epoch ms of its first and last faulty reading.

    `timestamp(feeder number, tick)` is the simulation's. A run that stopped at `last_tick` within the fault cuts its end.
    """
    feeder = grid.feeder_of(int(fault.meters[0]))
    last = fault.last if last_tick is None else min(fault.last, last_tick)
    return {
        "kind": fault.kind.value,
        "asset_id": fault.asset_id,
        "asset_type": fault.asset_type,
        "feeder_id": fault.feeder_id,
        "start": timestamp(feeder, fault.first),
        "end": timestamp(feeder, last),
        "depth": round(fault.depth, 4),
        "note": fault.note,
        "meters": [grid.device_ids[row] for row in fault.meters.tolist()],
    }


class TruthFile:
    """Writes a line when its fault begins; `finish` makes the file say what was sent, whenever the run stopped.

    Raises UsageError where the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--truth: cannot write {path}: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, labels: Iterable[dict[str, Any]]) -> None:
        """Append lines, so that a reader of the growing file sees them at once."""
        lines = [json.dumps(one) + "\n" for one in labels]
        if lines:
            self._file.writelines(lines)
            self._file.flush()

    def finish(self, labels: Iterable[dict[str, Any]]) -> None:
        """Replace the content by `labels`, in one step: the file is whole before and after."""
        self._file.close()
        if not self.path.is_file():  # /dev/null and pipes have had their lines
            return
        complete = self.path.with_name(f"{self.path.name}.new")
        complete.write_text("".join(json.dumps(one) + "\n" for one in labels), encoding="utf-8")
        os.replace(complete, self.path)  # noqa: PTH105  says atomic more plainly than Path.replace
