"""What judging needs besides a feeder's state: the rules as arrays, and room for what comes out."""

from typing import Any

import numpy as np

from gridpulse_detector import kernel, tallies
from gridpulse_detector.episodes import EVENT, FINDING
from gridpulse_detector.layout import Layout
from gridpulse_detector.parameters import ParameterSets
from gridpulse_detector.rules.moving_average import SIGNALS
from gridpulse_detector.ruleset import Rules
from gridpulse_detector.state import FeederState
from gridpulse_detector.wiring import Wiring

__all__ = ["Workbench"]


class Workbench:
    """Serves one batch after another, of any feeder. `grown` rises with every array that a larger one replaced."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.layout = Layout.of(rules)
        self.shape = self.layout.shape
        self.sets = ParameterSets(rules)
        self.columns = tuple(
            np.array([SIGNALS.index(name) for name in names], np.int32)
            for names in (rules.signals, rules.unusual.signals, rules.rollups.signals)
        )
        """Rows of the kernel's matrix that are averaged, scored, rolled up."""
        self.findings = np.zeros(len(rules.channels), FINDING)
        self.events = np.zeros(64 * len(rules.channels), EVENT)
        self.tally = np.zeros(0, tallies.TALLY)
        self.counts = np.zeros(kernel.COUNTS, np.int64)
        self.grown = 0

    def make_room(self, events: int, assets: int = 0) -> None:
        """Room for so many events of one call, and for tallies of so many assets."""
        if self.events.size < events:
            self.events = np.zeros(events, EVENT)
            self.grown += 1
        if self.tally.size < assets:
            self.tally = np.zeros(assets, tallies.TALLY)
            self.grown += 1

    def minute_grace_ms(self, wiring: Wiring) -> int:
        """How long after its end a minute of this feeder closes, ms."""
        return self.shape.minute_grace_ms + wiring.after_minute_ms

    def hour_grace_ms(self, wiring: Wiring) -> int:
        """How long after its end an hour of this feeder closes, ms."""
        return self.shape.grace_ms + wiring.after_hour_ms

    def judging(self, state: FeederState, wiring: Wiring) -> tuple[Any, ...]:
        """What the kernel takes besides rows."""
        shape, sets = state.shape, self.sets
        return (
            wiring.assets, wiring.deadbands, sets.limits, sets.holds, *self.columns, shape.pane_ms, shape.grace_ms,
            self.minute_grace_ms(wiring), self.hour_grace_ms(wiring), state.feeder, state.heard, state.past, state.window,
            state.panes, state.aggregates, state.scores, state.slots, state.episodes, self.findings, self.events, self.tally,
            self.counts,
        )  # fmt: skip
