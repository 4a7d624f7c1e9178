"""What is remembered of a feeder and its assets, as numpy records, and what of it the rules decide the size of."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gridpulse_detector.episodes import EPISODE
from gridpulse_detector.ruleset import Rules
from gridpulse_detector.scoring import SCORE
from gridpulse_schemas.compiled import inlined

__all__ = [
    "AGGREGATE", "ASSETS", "EPISODES", "FEEDER", "FEEDER_PART", "HEARD", "MINUTES_CLOSE_S", "MINUTE_MS", "NEVER", "PARTS", "PAST",
    "QUARTER", "RECENT", "SCORES", "SUMS", "WINDOWS", "Layout", "Shape", "last_closable",
]  # fmt: skip

RECENT = 4
"""Timestamps kept a meter, to know a repeated reading by."""
NEVER = int(np.iinfo(np.int64).min)
MINUTE_MS = 60_000
"""Length of the feeder's tumbling windows, which the rollups are made of."""
MINUTES_CLOSE_S = 10
"""After each minute, and the grace, until it is closed for all feeders, each at its own whole second (docs/adr/0035)."""
QUARTER = 15
"""Minutes of the feeder's hopping windows, which move by one."""

SUMS = np.dtype([("count", "<f8"), ("total", "<f8"), ("squares", "<f8")])
"""Of one signal of one meter over a pane or the window."""

AGGREGATE = np.dtype([("count", "<i8"), ("total", "<f8"), ("squares", "<f8"), ("low", "<f8"), ("high", "<f8")])
"""Of one signal of all meters of the feeder over a minute."""

HEARD = np.dtype(
    [
        ("last_at", "<i8"),  # newest timestamp; NEVER before the first
        ("first_at", "<i8"),
        ("out_since", "<i8"),  # last gasp not yet taken back; 0 with power
        ("dark_since", "<i8"),  # last reading before an outage that only its end told of, until the next tick; else 0
        ("readings", "<i4"),
        ("spacing", "<f4"),  # usual interval, ms
        ("power", "<f4"),  # newest values: W, var
        ("reactive", "<f4"),
    ]
)
"""What was heard last of an asset. The feeder's clock looks at it of all assets each second, so it lies close together."""

PAST = np.dtype(
    [
        ("recent", "<i8", (RECENT,)),  # newest timestamps
        ("active", "<i8"),  # bit a channel: an episode is under watch
        ("register", "<f8"),  # energy_import, Wh; NaN before the first
        ("register_out", "<f8"),  # energy_export, Wh
        ("base", "<f8"),  # register and time at the start of the sum check's span
        ("base_at", "<i8"),
        ("integrated", "<f8"),  # Wh since then
        ("moved_at", "<i8"),  # when the register last moved
        ("jump_at", "<i8"),
        ("still_volts_at", "<i8"),
        ("still_power_at", "<i8"),
        ("band_0", "<i8"),  # since when each overload band is passed; 0 not
        ("band_1", "<i8"),
        ("band_2", "<i8"),
        ("slot_wh", "<f8"),  # net energy of the running hour
        ("volts", "<f4"),  # newest value: V of phase A
        ("jumps", "<i4"),  # readings since a jump of power, 0 where none is watched
        ("jump_from", "<f4"),
        ("jump_to", "<f4"),
        ("still_volts", "<i4"),  # readings without change
        ("still_power", "<i4"),
        ("idle", "<f4"),  # Wh since the register moved
        ("step", "<f4"),  # resolution of the register, Wh: the power of ten that all its readings are multiples of
        ("zero_share", "<f4"),
        ("zeros", "<i4"),  # in a row
        ("slot", "<i4"),  # running hour, and the one before: energy Wh, time covered ms, V·ms
        ("slot_ms", "<i4"),
        ("slot_volts", "<f4"),
        ("done_slot", "<i4"),
        ("done_ms", "<i4"),
        ("done_wh", "<f4"),
        ("done_volts", "<f4"),
        ("hours", "<i4"),  # hours learned
        ("pooled", "<f4"),  # variance of the seasonal residual
        ("fast", "<f4"),  # means of the residual over hours and over a day, and their variances
        ("slow", "<f4"),
        ("fast_variance", "<f4"),
        ("slow_variance", "<f4"),
        ("up", "<f4"),  # CUSUM of power and of voltage, and the hour in which each last left zero
        ("down", "<f4"),
        ("up_since", "<i4"),
        ("down_since", "<i4"),
        ("volts_mean", "<f4"),
        ("volts_variance", "<f4"),
        ("volts_up", "<f4"),
        ("volts_down", "<f4"),
        ("volts_up_since", "<i4"),
        ("volts_down_since", "<i4"),
        ("usual_wh", "<f4"),  # of an hour, and its variance
        ("usual_variance", "<f4"),
    ]
)
"""What else is remembered of an asset between its readings; meters and the transformers above them alike."""

FEEDER = np.dtype(
    [
        ("clock", "<i8"),  # highest accepted timestamp, ms
        ("closed", "<i8"),  # index of the newest closed pane
        ("closed_minute", "<i8"),  # of the newest closed minute
        ("closed_slot", "<i8"),  # of the newest closed hour
        ("newest_slot", "<i8"),  # of any reading
        ("resumed_at", "<i8"),  # end of the last gap in which the whole feeder was unheard of
        ("hertz_at", "<i8"),  # time of the running second's readings; sums over the meters
        ("hertz_before_at", "<i8"),
        ("mean_at", "<i8"),  # start of the running ten seconds
        (
            "lead_at",
            "<i8",
        ),  # a reading so far ahead that its meter's clock is in doubt, the feeder's clock then, and whose it was
        ("lead_clock", "<i8"),
        ("lead_place", "<i8"),  # -1: nobody's
        ("hertz_sum", "<f8"),
        ("hertz_count", "<f8"),
        ("hertz_out", "<f8"),  # meters that read outside the band
        ("hertz_before", "<f8"),
        ("mean_sum", "<f8"),
        ("mean_count", "<f8"),
        ("mean_out", "<f8"),
    ]
)
"""What is remembered of the feeder itself; its clock is the first field in every build."""

PARTS = FEEDER_PART, ASSETS, WINDOWS, SCORES, EPISODES = range(5)
"""Each is taken over or begun anew by itself where other rules or another build wrote it (docs/adr/0036)."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes that follow from the rules."""

    signals: int
    scored: int
    rollups: int
    channels: int
    panes_open: int
    minutes_open: int
    window_panes: int
    pane_ms: int
    grace_ms: int
    minute_grace_ms: int

    @classmethod
    def of(cls, rules: Rules) -> "Shape":
        """Sizes of `rules`; one open pane more than the grace spans, and every minute that is not closed for all feeders.

        The grace of a minute is over when that of the pane is which holds its last millisecond, or later.
        """
        windows = rules.windows
        panes_open = 1 + -(-windows.grace_s // windows.hop_s)
        pane_ms, grace_ms = windows.hop_s * 1000, windows.grace_s * 1000
        minute_grace_ms = grace_ms + (pane_ms if MINUTE_MS % pane_ms else 0)
        return cls(
            signals=len(rules.signals),
            scored=len(rules.unusual.signals),
            rollups=len(rules.rollups.signals),
            channels=len(rules.channels),
            panes_open=panes_open,
            minutes_open=2 + (minute_grace_ms + MINUTES_CLOSE_S * 1000) // MINUTE_MS,
            window_panes=windows.window_s // windows.hop_s,
            pane_ms=pane_ms,
            grace_ms=grace_ms,
            minute_grace_ms=minute_grace_ms,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What state is to be read by: its `shape`, and `parts` uint32 (PARTS,), a checksum of all that decides how each lies.

    `rules` uint32 (channels,): a checksum of each channel's rule, since other rules number the channels otherwise.
    """

    shape: Shape
    parts: npt.NDArray[np.uint32]
    rules: npt.NDArray[np.uint32]

    @classmethod
    def of(cls, rules: Rules) -> "Layout":
        """That of `rules`, in this build."""
        shape = Shape.of(rules)
        windows = (
            rules.signals, rules.rollups.signals, shape.panes_open, shape.minutes_open, shape.window_panes, shape.pane_ms,
            shape.grace_ms, shape.minute_grace_ms, SUMS.descr, AGGREGATE.descr, QUARTER,
        )  # fmt: skip
        parts = (FEEDER.descr, (HEARD.descr, PAST.descr), windows, (rules.unusual.signals, SCORE.descr), EPISODE.descr)
        return cls(shape, checksums(repr(part) for part in parts), checksums(name for name, _ in rules.channels))


def checksums(texts: Iterable[str]) -> npt.NDArray[np.uint32]:
    """CRC of each, uint32 (n,)."""
    return np.array([zlib.crc32(text.encode()) for text in texts], np.uint32)


@inlined
def last_closable(clock: int, length_ms: int, grace_ms: int) -> int:
    """Index of the newest pane, minute or hour, of `length_ms`, whose end and grace the feeder's clock (ms) has passed."""
    return (clock - grace_ms) // length_ms - 1
