"""The statistical score: what it promises, and a plain Python twin that the compiled one must equal."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gridpulse_detector import scoring
from gridpulse_detector.rules.unusual import Unusual
from gridpulse_detector.scoring import LOW, SCORE, WARM_UP, learning, score, score_series, step

Floats = npt.NDArray[np.float64]
MINUTE = 60_000
ALERT = 0.99


def minutes(count: int) -> npt.NDArray[np.int64]:
    return np.arange(count, dtype=np.int64) * MINUTE


def scored(values: Any) -> Floats:
    return score_series(minutes(len(values)), np.asarray(values, float))


def noise(count: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(0, 1, count)


class Twin:
    """The same formulas in plain Python, on the same record: the fields' widths round as they do there."""

    def __init__(self) -> None:
        self.s: Any = np.zeros(1, SCORE)[0]

    def step(self, x: float, at: int) -> float:
        s = self.s
        if not math.isfinite(x):
            return 0.0
        if s["count"] == 0:
            s["last"] = s["fast"] = s["slow"] = x
            s["at"] = at
            s["tails"]["threshold"], s["tails"]["excess"], s["tails"]["squares"] = 2, 1, 2
        s["count"] += 1
        count, hour = int(s["count"]), at // 3_600_000 % 24
        elapsed, limit = float(at - int(s["at"])), scoring.GAP * float(s["interval"])
        continues = count < scoring.PRIMING or elapsed <= limit
        if not continues:
            s["last"] = s["fast"] = x
            elapsed = limit
        slow_weight = 1.0 / min(float(count), scoring.SLOW)
        s["interval"] += (elapsed - float(s["interval"])) / min(float(count), scoring.SLOW)
        s["at"] = at
        surprises = sorted((self.judge(i, error, x) for i, error in enumerate(self.errors(x, hour))), reverse=True)
        surprise = (surprises[0] + scoring.SECOND * surprises[1]) / (1.0 + scoring.SECOND)
        self.teach(x, hour, slow_weight, continues=continues)
        peak = float(s["peak"])
        s["peak"] = max(peak * scoring.DECAY, surprise)
        share = scoring.SHADED * surprise
        surprise = surprise if surprise > peak else share / (1 + share / scoring.SHADED_MOST)
        if count <= WARM_UP:
            return 0.0
        if surprise > 7:
            surprise = 7 + 7 * (surprise - 7) / surprise
        return float((1 - 10**-surprise) ** 7)

    def errors(self, x: float, hour: int) -> list[float]:
        last, fast, slow, change, usual = (float(self.s[name]) for name in ("last", "fast", "slow", "change", "usual_change"))
        expected = float(self.s["season"][hour]) if self.s["seen"][hour] else slow
        quiet = usual / (change + 1e-3 * usual) if usual > 0 else 0.0
        return [abs(x - last), abs(x - slow), abs(x - fast), abs(x - expected), abs(fast - slow), change, quiet]

    def judge(self, i: int, error: float, x: float) -> float:
        tail, count = self.s["tails"][i], int(self.s["count"])
        weight = 1.0 / min(float(count), scoring.SCALE)
        scale = max(float(tail["scale"]), 1e-9 * (abs(x) + abs(float(self.s["slow"]))) + 1e-30)
        if count <= scoring.PRIMING:
            tail["scale"] = float(tail["scale"]) + weight * (error - float(tail["scale"]))
            return 0.0
        pace = max(scoring.PACE, scoring.PACE_EARLY / math.sqrt(count))
        z, t = min(error / scale, scoring.LARGEST), float(tail["threshold"])
        taught = z
        if z <= t:
            surprise = scoring.RARITY * z / t
            tail["threshold"] = max(t * (1 - pace * scoring.EXCEEDED), 0.5)
        else:
            m, s = float(tail["excess"]), float(tail["squares"])
            xi = min(max(0.5 * (1 - m * m / max(s - m * m, 1e-9)), 1e-3), scoring.HEAVIEST)
            sigma = max(m * (1 - xi), 1e-3 * t)
            surprise = scoring.RARITY + math.log10(1 + xi * (z - t) / sigma) / xi
            if surprise > scoring.TAUGHT:
                taught = t + sigma * (math.exp(scoring.LOG10 * xi * (scoring.TAUGHT - scoring.RARITY)) - 1) / xi
            tail["exceedances"] = min(float(tail["exceedances"]) + 1, scoring.PEAKS)
            share = max(1 / (float(tail["exceedances"]) + 3), 1 / scoring.PEAKS)
            tail["excess"] = m + share * (taught - t - m)
            tail["squares"] = s + share * ((taught - t) ** 2 - s)
            tail["threshold"] = min(t * (1 + pace * (1 - scoring.EXCEEDED)), scoring.LARGEST)
        tail["scale"] = float(tail["scale"]) + weight * (taught * scale - float(tail["scale"]))
        return surprise

    def teach(self, x: float, hour: int, weight: float, *, continues: bool) -> None:
        s = self.s
        if continues:
            change = abs(x - float(s["last"]))
            s["change"] += scoring.RECENT * (change - float(s["change"]))
            s["usual_change"] += weight * (change - float(s["usual_change"]))
        s["last"] = x
        s["fast"] += scoring.FAST * (x - float(s["fast"]))
        distance = x - float(s["slow"])
        if s["count"] > scoring.PRIMING:
            limit = scoring.LEVEL_CLIP * float(s["tails"]["scale"][scoring.LEVEL])
            distance = min(max(distance, -limit), limit)
        s["slow"] += weight * distance
        s["seen"][hour] = min(int(s["seen"][hour]) + 1, 100)
        s["season"][hour] += max(scoring.HOUR, 1.0 / int(s["seen"][hour])) * (x - float(s["season"][hour]))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 400),
    spread=st.sampled_from([0.0, 1e-3, 1.0, 1e6]),
    offset=st.sampled_from([0.0, 230.0, -1e7]),
    interval=st.sampled_from([1_000, 300_000, 3_600_000]),
)
def test_the_compiled_score_equals_its_plain_twin(seed: int, count: int, spread: float, offset: float, interval: int) -> None:
    random = np.random.default_rng(seed)
    values = offset + spread * random.standard_t(2, count)
    values[random.random(count) < 0.05] = np.nan
    steps = np.where(random.random(count) < 0.02, 50, 1)
    timestamps = np.cumsum(steps * interval).astype(np.int64)
    twin = Twin()
    expected = [twin.step(float(x), int(at)) for x, at in zip(values, timestamps, strict=True)]
    assert score_series(timestamps, values) == pytest.approx(expected, rel=1e-4, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(), max_size=300))
def test_any_values_give_scores_within_0_and_1(values: list[float]) -> None:
    scores = scored(values)
    assert ((scores >= 0) & (scores < 1)).all()


def test_step_by_step_equals_in_one_go_and_again() -> None:
    values, states = noise(1000), np.zeros(1, SCORE)
    at_once = scored(values)
    one_by_one = []
    for at, value in zip(minutes(1000), values, strict=True):
        states = np.frombuffer(bytearray(states.tobytes()), SCORE)  # as a store would keep it
        one_by_one.append(step(states[0], value, at))
    assert at_once.tolist() == one_by_one == scored(values).tolist()


def test_the_state_is_small_and_starts_from_zeros() -> None:
    state = np.frombuffer(bytearray(SCORE.itemsize), SCORE)[0]
    assert SCORE.itemsize <= 512
    assert learning(state)
    for i in range(WARM_UP):
        assert step(state, float(i % 7), i * MINUTE) == 0.0
    assert not learning(state)
    assert step(state, 1000.0, WARM_UP * MINUTE) > ALERT


def test_no_rule_may_ask_for_a_score_as_low_as_is_not_told() -> None:
    assert score(LOW) == pytest.approx(0.9**7)
    Unusual(score=0.5)
    with pytest.raises(ValidationError):
        Unusual(score=score(LOW))


def test_nan_scores_0_and_teaches_nothing() -> None:
    values = noise(1000)
    with_gaps = np.insert(values, [300, 600, 600], [np.nan, np.inf, -np.inf])
    timestamps = np.insert(minutes(1000), [300, 600, 600], [300 * MINUTE - 1, 600 * MINUTE - 2, 600 * MINUTE - 1])
    scores = score_series(timestamps, with_gaps)
    assert (scores[~np.isfinite(with_gaps)] == 0).all()
    assert scores[np.isfinite(with_gaps)].tolist() == scored(values).tolist()


def test_ordinary_noise_scores_low() -> None:
    scores = scored(noise(20_000))[WARM_UP:]
    assert np.median(scores) < 0.3
    assert (scores > ALERT).mean() < 0.005
    assert (scores > 0.999).mean() < 0.002


def test_a_constant_is_ordinary_and_its_change_is_not() -> None:
    values = np.full(2000, 230.0)
    values[1500] = 230.5
    scores = scored(values)
    assert scores[:1500].max() < 0.5
    assert scores[1500] > 0.999


@pytest.mark.parametrize("size", [8.0, 30.0, 1000.0])
def test_a_level_shift_alerts_at_its_beginning_and_is_learnt(size: float) -> None:
    values = noise(4000)
    values[2000:] += size
    scores = scored(values)
    assert scores[2000:2003].max() > ALERT
    assert (scores[2010:] > ALERT).mean() < 0.01


def test_an_anomaly_does_not_teach() -> None:
    values = noise(3000)
    values[2000:2005] += 30
    values[2600:2605] += 30
    scores = scored(values)
    assert scores[2000] > ALERT
    assert scores[2600] > ALERT


def test_one_event_is_one_peak() -> None:
    values = noise(3000)
    values[2000:2030] += 30
    assert (scored(values)[2000:2060] > ALERT).sum() <= 3


def test_farther_is_never_less_unusual() -> None:
    values = noise(1001)
    last = []
    for size in np.geomspace(1, 1e5, 60):
        values[-1] = size
        last.append(scored(values)[-1])
    assert last == sorted(last)
    assert len(set(last)) > 50


@pytest.mark.parametrize(("factor", "offset"), [(1e-3, 0.0), (1e4, 0.0), (-1.0, 0.0), (0.5, 230.0), (100.0, -1e6)])
def test_unit_and_offset_do_not_matter(factor: float, offset: float) -> None:
    values = noise(2000)
    values[1500] += 12
    assert scored(factor * values + offset) == pytest.approx(scored(values), abs=0.02)


def test_a_drift_during_a_gap_is_not_a_jump() -> None:
    walk = np.cumsum(noise(1200)) * 0.01 + np.sin(np.arange(1200) / 100)
    timestamps = minutes(1200)
    jump = walk + np.where(np.arange(1200) >= 1000, 0.3, 0.0)
    later = timestamps + np.where(np.arange(1200) >= 1000, 400 * MINUTE, 0)
    assert score_series(later, jump)[1000] < score_series(timestamps, jump)[1000]


def test_one_scale_serves_signals_of_any_distribution() -> None:
    random = np.random.default_rng(3)
    count = 50_000
    signals = {
        "normal": random.normal(0, 1, count),
        "heavy": random.standard_t(3, count),
        "skewed": np.exp(random.normal(0, 1.5, count)),
        "counts": random.poisson(3, count).astype(float),
        "daily": np.sin(np.arange(count) * 2 * np.pi / 1440) + random.normal(0, 0.1, count),
        "sparse": (random.random(count) < 0.003).astype(float),
    }
    for name, values in signals.items():
        scores = scored(values)
        assert 5e-4 < (scores > ALERT).mean() < 5e-3, name
        assert (scores > 0.999).mean() < 1e-3, name
