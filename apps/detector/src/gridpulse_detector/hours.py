"""What only a whole hour shows: consumption against its season, drift, and the energy balance of transformers.

Compiled, once an hour.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector import channels as ch
from gridpulse_detector.base_load import judge_base_load
from gridpulse_detector.episodes import advance, age, note
from gridpulse_detector.kernel import SLOT_MS
from gridpulse_detector.rules import drift, energy_balance, seasonal
from gridpulse_detector.wiring import METER, TRANSFORMER
from gridpulse_schemas.compiled import compiled

__all__ = ["BUCKET", "EVENTS_AN_ASSET", "close_hour", "season_of"]

NAN = np.nan
EVENTS_AN_ASSET = 6
"""Of season, base load and its shift, drift of power and of voltage, balance."""
COVERED = 0.5
"""Share of an hour that readings must cover to speak for it."""
MS_PER_DAY, HOURS = 86_400_000, 24
THURSDAY = 3
"""1970-01-01 was one; Monday is 0."""

BUCKET = np.dtype([("mean", "<f4"), ("variance", "<f4"), ("days", "<f4")])
"""Seasonal baseline of one asset at one hour of one kind of day, in compressed watts."""


def season_of(slot: int) -> int:
    """Bucket of the hour that begins `slot` hours after the epoch: 0–23 on working days, 24–47 at weekends, UTC."""
    weekday = (slot // HOURS + THURSDAY) % 7
    return slot % HOURS + (HOURS if weekday >= 5 else 0)


@compiled
def close_hour(
    slot: int,
    offset: int,
    assets: npt.NDArray[Any],
    limits: npt.NDArray[Any],
    holds: npt.NDArray[Any],
    past: npt.NDArray[Any],
    bucket: npt.NDArray[Any],
    base: npt.NDArray[Any],
    slots: npt.NDArray[np.int32],
    episodes: npt.NDArray[Any],
    findings: npt.NDArray[Any],
    events: npt.NDArray[Any],
    watts: npt.NDArray[np.float64],
    usual: npt.NDArray[np.float64],
) -> int:
    """Judge and learn the hour that begins `slot` hours after the epoch; the number of `events` filled.

    `bucket` BUCKET (places,) is its season and `base` BASE (places,) the base load; both move on. Out: `watts` and `usual`
    float64 (places,), mean power of the hour and what was expected, NaN where unknown. `episodes` has EVENTS_AN_ASSET free rows
    a place, `events` as many.
    """
    filled = 0
    end = (slot + 1) * SLOT_MS
    for i in range(assets.size):
        watts[i] = usual[i] = NAN
        asset, mine = assets[i], past[i]
        if mine.done_slot == slot:
            energy, covered, volts = mine.done_wh, mine.done_ms, mine.done_volts
        elif mine.slot == slot:
            energy, covered, volts = mine.slot_wh, mine.slot_ms, mine.slot_volts
        else:
            continue
        if covered < COVERED * SLOT_MS:
            continue
        watts[i] = energy / (covered / SLOT_MS)
        limit = limits[asset.set]
        filled, usual[i] = judge_season(
            end,
            offset,
            watts[i],
            i,
            asset,
            limit,
            holds[asset.set],
            mine,
            bucket[i],
            slots[i],
            episodes,
            findings,
            events,
            filled,
        )
        if asset.generates == 0:
            filled = judge_base_load(
                slot,
                offset,
                watts[i],
                i,
                asset,
                limit,
                holds[asset.set],
                mine,
                base[i],
                slots[i],
                episodes,
                findings,
                events,
                filled,
            )
        if volts > 0.0:
            filled = judge_voltage(
                end,
                offset,
                volts / covered,
                i,
                asset,
                limit,
                holds[asset.set],
                mine,
                slots[i],
                episodes,
                findings,
                events,
                filled,
            )
        mine.hours += 1
    for i in range(1, assets.size):
        if assets[i].kind == TRANSFORMER and watts[i] == watts[i]:
            filled = judge_balance(
                end,
                offset,
                i,
                assets,
                limits[assets[i].set],
                holds[assets[i].set],
                past,
                slots,
                episodes,
                findings,
                events,
                filled,
                watts,
            )
    for i in range(assets.size):
        if watts[i] == watts[i]:
            learn_usual(past[i], watts[i])
    return filled


@compiled
def judge_season(
    end: int,
    offset: int,
    mean_watts: float,
    place: int,
    asset: Any,
    limit: Any,
    hold: npt.NDArray[Any],
    mine: Any,
    bucket: Any,
    slots: npt.NDArray[np.int32],
    episodes: npt.NDArray[Any],
    findings: npt.NDArray[Any],
    events: npt.NDArray[Any],
    filled: int,
) -> tuple[int, float]:
    """Seasonal deviation and drift of consumption; `filled` moved on, and the mean power expected (NaN while learning)."""
    scale = seasonal.scale_of(asset.power)
    value = seasonal.compress(mean_watts, scale)
    usual = NAN
    taught = value
    if bucket.days >= limit.seasonal_learn_days:
        sigma = seasonal.sigma(bucket.variance, bucket.days, mine.pooled)
        z = (value - bucket.mean) / sigma
        usual = seasonal.expand(bucket.mean, scale)
        mine.fast, mine.fast_variance = seasonal.averaged(mine.fast, mine.fast_variance, z, seasonal.FAST)
        mine.slow, mine.slow_variance = seasonal.averaged(mine.slow, mine.slow_variance, z, seasonal.SLOW)
        distance = max(abs(mine.fast) / math.sqrt(mine.fast_variance), abs(mine.slow) / math.sqrt(mine.slow_variance))
        sigmas = limit.seasonal_sigmas
        low, high = seasonal.expand(bucket.mean - sigmas * sigma, scale), seasonal.expand(bucket.mean + sigmas * sigma, scale)
        severity = seasonal.severity(distance, sigmas, limit.seasonal_warning_sigmas)
        if abs(mean_watts - usual) < limit.seasonal_least_w:
            severity = 0
        note(findings[ch.SEASONAL], severity, end - SLOT_MS, mean_watts, usual, low, high, distance)
        filled = advance(ch.SEASONAL, end, offset, place, hold, mine, slots, episodes, findings, events, filled)
        taught = min(max(value, bucket.mean - 3.0 * sigma), bucket.mean + 3.0 * sigma)
        if mine.hours >= limit.drift_learn_hours:
            hour = end // SLOT_MS - 1
            # Residuals that go together add up by themselves: they count for less.
            steady = z / math.sqrt(mine.slow_variance / seasonal.independent(seasonal.SLOW))
            mine.up, mine.up_since = drift.cusum(mine.up, mine.up_since, hour, steady, limit.drift_slack)
            mine.down, mine.down_since = drift.cusum(mine.down, mine.down_since, hour, -steady, limit.drift_slack)
            severity = drift.severity(mine.up, mine.down, limit.drift_threshold, limit.drift_warning_threshold)
            since = SLOT_MS * (mine.up_since if mine.up > mine.down else mine.down_since)
            note(findings[ch.DRIFT_POWER], severity, since, mean_watts, usual, NAN, NAN, max(mine.up, mine.down))
            filled = advance(ch.DRIFT_POWER, end, offset, place, hold, mine, slots, episodes, findings, events, filled)
    frozen = max(age(slots, ch.SEASONAL, episodes, end), age(slots, ch.DRIFT_POWER, episodes, end))
    if not 0 < frozen < limit.seasonal_freeze_days * MS_PER_DAY:
        learn_bucket(mine, bucket, taught if frozen == 0 else value)
    return filled, usual


@compiled
def learn_bucket(mine: Any, bucket: Any, value: float) -> None:
    """Teach `value` (compressed watts): an exponentially weighted mean and variance, plain ones at first."""
    if bucket.days == 0.0:
        bucket.mean = value
        bucket.days = 1.0
        return
    bucket.days += 1.0
    weight = max(1.0 / bucket.days, 0.08)
    off = value - bucket.mean
    bucket.mean, bucket.variance = seasonal.weighted(bucket.mean, bucket.variance, off, weight)
    learnt = max(1.0 / (1.0 + max(0, mine.hours - HOURS)), 0.005)
    mine.pooled += learnt * (off * off - mine.pooled)


@compiled
def judge_voltage(
    end: int,
    offset: int,
    volts: float,
    place: int,
    asset: Any,
    limit: Any,
    hold: npt.NDArray[Any],
    mine: Any,
    slots: npt.NDArray[np.int32],
    episodes: npt.NDArray[Any],
    findings: npt.NDArray[Any],
    events: npt.NDArray[Any],
    filled: int,
) -> int:
    """Drift of the hourly voltage against its own slow mean; `filled` moved on."""
    value = volts / asset.voltage
    sigma = math.sqrt(max(mine.volts_variance, 9e-6))  # never finer than 0.3 % of nominal
    z = (value - mine.volts_mean) / sigma
    if mine.hours >= limit.drift_learn_hours:
        hour = end // SLOT_MS - 1
        mine.volts_up, mine.volts_up_since = drift.cusum(mine.volts_up, mine.volts_up_since, hour, z, limit.drift_slack)
        mine.volts_down, mine.volts_down_since = drift.cusum(mine.volts_down, mine.volts_down_since, hour, -z, limit.drift_slack)
        severity = drift.severity(mine.volts_up, mine.volts_down, limit.drift_threshold, limit.drift_warning_threshold)
        since = SLOT_MS * (mine.volts_up_since if mine.volts_up > mine.volts_down else mine.volts_down_since)
        expected = mine.volts_mean * asset.voltage
        note(findings[ch.DRIFT_VOLTAGE], severity, since, volts, expected, NAN, NAN, max(mine.volts_up, mine.volts_down))
        filled = advance(ch.DRIFT_VOLTAGE, end, offset, place, hold, mine, slots, episodes, findings, events, filled)
        z = min(max(z, -3.0), 3.0)
    weight = max(1.0 / (1.0 + mine.hours), 0.01)
    off = z * sigma if mine.hours > 0 else value - mine.volts_mean
    mine.volts_mean += weight * off
    if mine.hours > 0:
        mine.volts_variance += weight * ((1.0 - weight) * off * off - mine.volts_variance)
    return filled


@compiled
def learn_usual(mine: Any, mean_watts: float) -> None:
    """Teach what an hour usually takes: the estimate for one that is not read."""
    weight = max(1.0 / max(1.0, float(mine.hours)), 0.02)
    off = mean_watts - mine.usual_wh
    mine.usual_wh, mine.usual_variance = seasonal.weighted(mine.usual_wh, mine.usual_variance, off, weight)


@compiled
def judge_balance(
    end: int,
    offset: int,
    head: int,
    assets: npt.NDArray[Any],
    limit: Any,
    hold: npt.NDArray[Any],
    past: npt.NDArray[Any],
    slots: npt.NDArray[np.int32],
    episodes: npt.NDArray[Any],
    findings: npt.NDArray[Any],
    events: npt.NDArray[Any],
    filled: int,
    watts: npt.NDArray[np.float64],
) -> int:
    """Energy balance of the transformer at place `head`; `filled` moved on."""
    customers = variance = 0.0
    size = read = 0
    for i in range(1, assets.size):
        if assets[i].kind != METER or assets[i].parent != head or assets[i].here == 0:
            continue
        size += 1
        if watts[i] == watts[i]:
            read += 1
            customers += watts[i]
        else:
            customers += past[i].usual_wh
            variance += past[i].usual_variance
    if size == 0 or 100.0 * read < limit.energy_balance_coverage_percent * size:
        return filled
    seen = watts[head]
    missing = seen - customers - limit.energy_balance_loss_percent / 100.0 * abs(seen)
    sigma = energy_balance.uncertainty(
        abs(seen), limit.energy_balance_loss_sigma_percent, limit.energy_balance_accuracy_percent, variance
    )
    sigmas = limit.energy_balance_sigmas
    severity = energy_balance.severity(missing, sigma, sigmas, limit.energy_balance_least_wh)
    upper = max(sigmas * sigma, limit.energy_balance_least_wh)
    note(findings[ch.ENERGY_BALANCE], severity, end - SLOT_MS, missing, 0.0, NAN, upper, missing)
    return advance(ch.ENERGY_BALANCE, end, offset, head, hold, past[head], slots[head], episodes, findings, events, filled)
