"""A round: disturb in a seeded order, settle, judge."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from disturbed.disturbances import DISTURBANCES, Recovery
from disturbed.pipeline import Pipeline
from disturbed.verdict import Verdict, judge

__all__ = ["RATE", "Round", "play"]

RATE = 20_000
"""Readings a second."""


@dataclass(frozen=True, slots=True)
class Round:
    """How each disturbance was got over, and what was found in the end."""

    recoveries: tuple[Recovery, ...]
    verdict: Verdict

    @property
    def kills(self) -> int:
        """Processes ended by SIGKILL."""
        return sum(recovery.kills for recovery in self.recoveries)


def play(folder: Path, seed: int, names: Sequence[str], rate: int = RATE, say: Callable[[str], None] = print) -> Round:
    """Disturb a pipeline of its own in `folder` by `names`, one after another at random instants."""
    rng = random.Random(seed)  # noqa: S311
    recoveries = []
    with Pipeline(folder, rate=rate, seed=seed) as pipeline:
        for name in names:
            if name == "disk full" and not pipeline.has_small_disk:
                say("disk full: not tried, this user may not mount a small disk")
                continue
            time.sleep(rng.uniform(0, 2))
            try:
                recovery = DISTURBANCES[name](pipeline, rng)
            except AssertionError as error:
                error.add_note(f"then, after {name}:\n{pipeline.condition()}")
                raise
            recoveries.append(recovery)
            say(f"{recovery.what}: next output of {recovery.watched} after {recovery.seconds:.1f} s")
        pipeline.settle()
        verdict = judge(pipeline)
    say(f"{verdict.readings:,} readings, {verdict.changes:,} changes: {'; '.join(verdict.wrong) or 'all there, once'}")
    return Round(tuple(recoveries), verdict)
