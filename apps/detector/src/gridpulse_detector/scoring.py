"""How unusual a reading is given the stream's past: a score in [0, 1] on one scale for every signal. See docs/scores.md.

Seven prediction errors of a reading are each turned into a tail probability by the errors of its own stream: a generalised
Pareto distribution over an adaptive high quantile, "peaks over threshold" as in Siffer et al., "Anomaly Detection in
Streams with Extreme Value Theory", KDD 2017. The two least probable make the score. Causal, and of fixed size.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_schemas.compiled import compiled, inlined

__all__ = ["LOW", "SCORE", "WARM_UP", "learning", "score", "score_series", "step", "surprise"]

STEP, LEVEL, DEVIATION, SEASON, SHIFT, ACTIVITY, QUIET = range(7)
STATISTICS = 7
"""Of a reading: change since the last one; distance from the slow mean, from the fast mean, and from the mean of this hour
of the day; distance of the fast mean from the slow one; recent mean change; and the inverse of that over its usual size."""

TAIL = np.dtype([("scale", "<f4"), ("threshold", "<f4"), ("excess", "<f4"), ("squares", "<f4"), ("exceedances", "<f4")])
"""Of one statistic: its mean; the quantile 1 − EXCEEDED, in means; mean and mean square of what goes beyond that quantile."""

SCORE = np.dtype(
    [
        ("count", "<i8"),
        ("at", "<i8"),
        ("interval", "<f8"),
        ("last", "<f8"),
        ("fast", "<f8"),
        ("slow", "<f8"),
        ("change", "<f8"),
        ("usual_change", "<f8"),
        ("peak", "<f8"),
        ("season", "<f8", (24,)),
        ("seen", "u1", (24,)),
        ("tails", TAIL, (STATISTICS,)),
    ]
)
"""All that is kept of one signal of one meter, 428 bytes. Zeros are a stream without a past."""

WARM_UP = 100
"""Readings that only teach."""
PRIMING = 20
"""Readings that only teach the scale of the statistics."""
FAST = 0.05
"""Weight of a reading in the fast mean."""
RECENT = 0.04
"""Weight of a change in the recent mean change."""
SLOW = 1500.0
"""Readings that the slow mean remembers."""
SCALE = 3000.0
"""Readings that the scale of a statistic remembers."""
PEAKS = 60.0
"""Exceedances that the tail remembers."""
EXCEEDED = 0.01
"""Share of readings beyond the threshold."""
PACE = 0.015
"""Relative move of the threshold at an exceedance; faster, PACE_EARLY / √count, at the beginning."""
PACE_EARLY = 0.3
SETTLED = (PACE_EARLY / PACE) ** 2
"""Readings after which it is PACE."""
HEAVIEST = 0.5
"""Upper limit of the Pareto shape; 0 is an exponential tail."""
TAUGHT = 4.5
"""An anomaly teaches the tail as if its probability were 10^−4.5."""
LEVEL_CLIP = 5.0
"""An anomaly moves the slow mean as if it were this many scales away."""
SECOND = 0.5
"""Weight of the second least probable statistic."""
WHOLE = 1.0 / (1.0 + SECOND)
"""Makes one of both weights."""
DECAY = 0.992
"""A peak's shadow shrinks by this a reading."""
SHADED = 0.3
"""A surprise in the shadow of a larger one counts this much, and less than SHADED_MOST in all (a score of 0.93)."""
SHADED_MOST = 2.0
HOUR = 0.1
"""Weight of a reading in the mean of its hour of the day."""
GAP = 10.0
"""Intervals without a reading after which the short memory starts anew."""
LOW = 1.0
"""A surprise whose score, 0.48, is under every limit that a rule may set."""
LARGEST = 1e6
MEASURABLE = 1e30
HOUR_MS = 3_600_000
LOG10 = math.log(10.0)
RARITY = -math.log10(EXCEEDED)


@inlined
def step(state: Any, value: float, at_ms: int) -> float:
    """Score of `value` in [0, 1], and `state` (a SCORE record) taught by it."""
    return score(surprise(state, value, at_ms))


@inlined
def surprise(state: Any, value: float, at_ms: int) -> float:
    """Surprise of `value`, what `score` is of: 0 or more, and `state` (a SCORE record) taught by it.

    0 while learning, and for what teaches nothing: NaN, infinities, and values of MEASURABLE and more.
    """
    if not abs(value) < MEASURABLE:
        return 0.0
    if state.count == 0:
        begin(state, value, at_ms)
    state.count += 1
    weight = 1.0 / min(float(state.count), SLOW)
    continues = advance(state, value, at_ms, weight)
    hour = at_ms // HOUR_MS % 24
    fresh = surprise_of(state, value, hour)
    teach_levels(state, value, hour, continues, weight)
    shaded = shade(state, fresh)
    return 0.0 if state.count <= WARM_UP else shaded


@inlined
def score(surprise: float) -> float:
    """Score in [0, 1] of a surprise: (1 − p)^7 of p = 10^−surprise.

    That is the chance that none of seven independent statistics is as improbable as p: about 1 − 7p for a small p. Ordinary
    readings lie under a half.
    """
    if surprise > 7.0:
        surprise = 7.0 + 7.0 * (surprise - 7.0) / surprise  # 1 − p still differs from 1: at most 14
    none = 1.0 - math.exp(-LOG10 * surprise)
    square = none * none
    return square * square * square * none


@compiled
def learning(state: Any) -> bool:
    """Whether the stream is too young to be judged."""
    return bool(state.count < WARM_UP)


def score_series(timestamps: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Scores float64 (n,) of one stream from its beginning; `timestamps` int64 (n,) ms, `values` float64 (n,)."""
    scores = np.empty(values.size, np.float64)
    steps(np.zeros(1, SCORE), timestamps, values, scores)
    return scores


@compiled
def steps(
    states: npt.NDArray[Any],
    timestamps: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
    scores: npt.NDArray[np.float64],
) -> None:
    """Fill `scores` float64 (n,) with those of a stream whose state is `states`, SCORE (1,)."""
    for i in range(values.size):
        scores[i] = step(states[0], values[i], timestamps[i])


@compiled
def begin(state: Any, value: float, at_ms: int) -> None:
    """Start every memory at the first reading."""
    state.last = state.fast = state.slow = value
    state.at = at_ms
    for i in range(STATISTICS):
        tail = state.tails[i]
        tail.threshold, tail.excess, tail.squares = 2.0, 1.0, 2.0


@inlined
def advance(state: Any, value: float, at_ms: int, weight: float) -> bool:
    """Move to the time of a reading, of so much weight in slow means; False after a gap, across which no change is told."""
    elapsed = float(at_ms - state.at)
    limit = GAP * state.interval
    continues = state.count < PRIMING or elapsed <= limit
    if not continues:
        state.last = state.fast = value
        elapsed = limit
    state.interval += (elapsed - state.interval) * weight
    state.at = at_ms
    return bool(continues)


@inlined
def surprise_of(state: Any, value: float, hour: int) -> float:
    """−log10 of how probable the statistics of `value` are: the least probable, tempered by the second; teaches the tails."""
    resolution = 1e-9 * (abs(value) + abs(state.slow)) + 1e-30
    pace = PACE if state.count >= SETTLED else PACE_EARLY / math.sqrt(state.count)
    weight = 1.0 / SCALE if state.count >= SCALE else 1.0 / state.count
    primed = state.count > PRIMING
    tails, slow, fast, change = state.tails, state.slow, state.fast, state.change
    seasonal = state.season[hour] if state.seen[hour] else slow
    usual = state.usual_change
    quiet = usual / (change + 1e-3 * usual) if usual > 0.0 else 0.0
    first = judge(tails[STEP], abs(value - state.last), resolution, primed, weight, pace)
    first, second = two_largest(first, 0.0, judge(tails[LEVEL], abs(value - slow), resolution, primed, weight, pace))
    first, second = two_largest(first, second, judge(tails[DEVIATION], abs(value - fast), resolution, primed, weight, pace))
    first, second = two_largest(first, second, judge(tails[SEASON], abs(value - seasonal), resolution, primed, weight, pace))
    first, second = two_largest(first, second, judge(tails[SHIFT], abs(fast - slow), resolution, primed, weight, pace))
    first, second = two_largest(first, second, judge(tails[ACTIVITY], change, resolution, primed, weight, pace))
    first, second = two_largest(first, second, judge(tails[QUIET], quiet, resolution, primed, weight, pace))
    return (first + SECOND * second) * WHOLE


@inlined
def two_largest(first: float, second: float, more: float) -> tuple[float, float]:
    """The two largest of three, `first` being no less than `second`."""
    return max(first, more), max(second, min(first, more))


@inlined
def judge(tail: Any, error: float, resolution: float, primed: bool, weight: float, pace: float) -> float:
    """−log10 P(error or more), and `tail` taught by it.

    Under the threshold t: −log10(EXCEEDED) · z/t. Beyond it the generalised Pareto tail EXCEEDED · (1 + ξ(z − t)/σ)^(−1/ξ),
    with ξ and σ from the mean m and mean square s of the excesses (method of moments, Hosking & Wallis 1987):
    ξ = ½(1 − m²/(s − m²)), σ = m(1 − ξ).
    """
    scale = max(tail.scale, resolution)
    if not primed:
        tail.scale += weight * (error - tail.scale)
        return 0.0
    threshold = float(tail.threshold)
    if not error <= threshold * scale:
        return exceeded(tail, error, scale, threshold, weight, pace)
    tail.threshold = max(threshold * (1.0 - pace * EXCEEDED), 0.5)
    tail.scale += weight * (error - tail.scale)
    return float(RARITY * error / (threshold * scale))


@compiled
def exceeded(tail: Any, error: float, scale: float, threshold: float, weight: float, pace: float) -> float:
    """The same of an error beyond the threshold."""
    z = min(error / scale, LARGEST)
    mean = tail.excess
    shape = min(max(0.5 * (1.0 - mean * mean / max(tail.squares - mean * mean, 1e-9)), 1e-3), HEAVIEST)
    sigma = max(mean * (1.0 - shape), 1e-3 * threshold)
    surprise = RARITY + math.log10(1.0 + shape * (z - threshold) / sigma) / shape
    if surprise > TAUGHT:
        z = threshold + sigma * (math.exp(LOG10 * shape * (TAUGHT - RARITY)) - 1.0) / shape
    excess = z - threshold
    tail.exceedances = min(tail.exceedances + 1.0, PEAKS)
    share = max(1.0 / (tail.exceedances + 3.0), 1.0 / PEAKS)
    tail.excess += share * (excess - mean)
    tail.squares += share * (excess * excess - tail.squares)
    tail.threshold = min(threshold * (1.0 + pace * (1.0 - EXCEEDED)), LARGEST)
    tail.scale += weight * (z * scale - tail.scale)
    return float(surprise)


@inlined
def teach_levels(state: Any, value: float, hour: int, continues: bool, weight: float) -> None:
    """Teach the means `value`, of so much weight in slow ones; the slow mean no farther than LEVEL_CLIP scales."""
    if continues:
        change = abs(value - state.last)
        state.change += RECENT * (change - state.change)
        state.usual_change += weight * (change - state.usual_change)
    state.last = value
    state.fast += FAST * (value - state.fast)
    distance = value - state.slow
    if state.count > PRIMING:
        limit = LEVEL_CLIP * state.tails[LEVEL].scale
        distance = min(max(distance, -limit), limit)
    state.slow += weight * distance
    state.seen[hour] = min(state.seen[hour] + 1, 100)
    share = HOUR if state.seen[hour] * HOUR >= 1.0 else 1.0 / state.seen[hour]
    state.season[hour] += share * (value - state.season[hour])


@inlined
def shade(state: Any, surprise: float) -> float:
    """`surprise`, or a share of it while a larger one is recent: one event, one peak."""
    fresh = surprise > state.peak
    state.peak = max(state.peak * DECAY, surprise)
    share = SHADED * surprise
    return surprise if fresh else share / (1.0 + share / SHADED_MOST)
