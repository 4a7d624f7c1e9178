"""Batches of the inputs through the detector, and through a second one where a change of rules is tried."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gridpulse_detector.assets import AssetBook
from gridpulse_detector.commands.generic import fitting
from gridpulse_detector.commands.inputs import Input, merged
from gridpulse_detector.commands.placed import Placed
from gridpulse_detector.offline import OfflineDetector
from gridpulse_detector.ruleset import Rules

__all__ = ["Bench", "Judged", "judge"]

Event = dict[str, Any]


@dataclass(slots=True)
class Judged:
    """Events in the order of their deciding batches: of the rules, and of those beside them."""

    events: list[Event] = field(default_factory=list)
    shadow: list[Event] = field(default_factory=list)
    batches: int = 0
    learning: dict[str, list[str]] = field(default_factory=dict)
    """By rule, the assets that it could not judge in the last hour for want of history."""


class Bench:
    """Rules over batches of all inputs: one state a feeder, apart for inputs that only the statistical score fits."""

    def __init__(self, rules: Rules, assets: AssetBook) -> None:
        self._rules, self._assets = rules, assets
        self._detectors: dict[bool, OfflineDetector] = {}

    def feed(self, source: Input, placed: Placed) -> list[Event]:
        """Events, as the input's reader understands them."""
        return source.located(self._judge(placed, generic=source.series is not None))

    def plain(self, placed: Placed) -> list[Event]:
        """Events as the detector tells them."""
        return self._judge(placed, generic=False)

    def learning(self) -> dict[str, list[str]]:
        """By rule, the assets that it could not judge in the last hour for want of history."""
        found: dict[str, list[str]] = {}
        for detector in self._detectors.values():
            for feeder in detector.learning.values():
                for rule, assets in feeder.items():
                    found.setdefault(rule, []).extend(assets)
        return {rule: sorted(assets) for rule, assets in found.items()}

    def _judge(self, placed: Placed, *, generic: bool) -> list[Event]:
        if generic not in self._detectors:
            self._detectors[generic] = OfflineDetector(fitting(self._rules) if generic else self._rules, self._assets)
        return self._detectors[generic].feed(placed.batch, placed.topic, placed.partition, placed.offset)


def judge(inputs: list[Input], rules: Rules, assets: AssetBook, shadow: Rules | None, told: Callable[[int], None]) -> Judged:
    """Feed every batch; `told` hears the rows of each."""
    judged = Judged()
    bench = Bench(rules, assets)
    second = Bench(shadow, assets) if shadow else None
    for source, placed in merged(inputs):
        judged.events += bench.feed(source, placed)
        if second:
            judged.shadow += second.feed(source, placed)
        judged.batches += 1
        told(placed.batch.rows)
    judged.learning = bench.learning()
    return judged
