"""Events as records of schema AnomalyEvent, and the nominal values they rest on."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from gridpulse_detector.anomalies import anomaly_id, anomaly_record, score
from gridpulse_detector.assets import AssetBook, Rating
from gridpulse_detector.episodes import EVENT
from gridpulse_detector.parameters import ParameterSets
from gridpulse_detector.ruleset import Rules
from gridpulse_detector.wiring import Wiring
from gridpulse_schemas import Codec

Make = Callable[..., Any]
EVIDENCE = {"topic": "meter.readings.valid", "partition": 1, "offset": 2, "ordinal": 0}


class Registry:
    """Five schemas, five ids."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def register(self, subject: str, text: str) -> int:
        del subject
        self.texts.append(text)
        return len(self.texts)

    def fetch(self, schema_id: int) -> str:
        return self.texts[schema_id - 1]


def everything(feeder: Make, batch: Make, quick: Rules) -> list[dict[str, Any]]:
    """Records of a stream that sets off every rule."""
    one = feeder(quick)
    records = []
    values = [230.0] * 24 + [200.0] * 8 + [230.0] * 4 + [0.0] * 3 + [230.0] * 6 + [270.0] * 8 + [230.0] * 4 + [214.0] * 4
    for second, volts in enumerate([*values, 230.0, 230.0, 230.0, 230.0]):
        rows = batch([{"s": second, "voltage": volts, "current": 10 if second < 50 else 50, "status": int(second == 40)}])
        outcome = one.detector.judge(rows, one.store)
        records += [anomaly_record(change, "F1", quick, EVIDENCE) for change in outcome.changes]
    return records


def test_every_rule_gives_records_that_the_schema_takes(feeder: Make, batch: Make, quick: Rules) -> None:
    codec = Codec(Registry())
    records = everything(feeder, batch, quick)
    for record in records:
        assert codec.decode("AnomalyEvent", codec.encode("AnomalyEvent", record)) == record
    voltages = {"interruption", "undervoltage", "overvoltage", "sag", "swell"}
    assert {record["rule"] for record in records} >= voltages | {"equipment_failure", "moving_average.voltage"}
    assert {record["state"] for record in records if record["kind"] != "DEVIATION"} >= {"OPENED", "CLOSED"}


def test_revisions_of_one_id_count_from_opened_to_closed(feeder: Make, batch: Make, quick: Rules) -> None:
    episodes: dict[str, list[dict[str, Any]]] = {}
    for record in everything(feeder, batch, quick):
        episodes.setdefault(record["anomaly_id"], []).append(record)
    for records in episodes.values():
        assert [record["revision"] for record in records] == list(range(1, len(records) + 1))
        assert records[0]["state"] == "OPENED"
        assert all((record["ended_at"] is not None) == (record["state"] == "CLOSED") for record in records)
        assert len({(record["asset_id"], record["rule"], record["started_at"]) for record in records}) == 1
        assert all(0 <= record["score"] <= 1 for record in records)


def test_the_same_stream_gives_the_same_records(feeder: Make, batch: Make, quick: Rules) -> None:
    assert everything(feeder, batch, quick) == everything(feeder, batch, quick)


def test_units_follow_the_signal(feeder: Make, batch: Make, quick: Rules) -> None:
    units = {record["rule"]: record["unit"] for record in everything(feeder, batch, quick)}
    assert units["sag"] == units["moving_average.voltage"] == "V"
    assert units["moving_average.current"] == "A"
    assert units["equipment_failure"] == ""


def test_ids_come_from_asset_rule_and_start() -> None:
    ids = {anomaly_id(*parts) for parts in (("M1", "sag", 1), ("M2", "sag", 1), ("M1", "swell", 1), ("M1", "sag", 2))}
    assert len(ids) == 4
    assert all(re.fullmatch("[0-9a-f]{32}", text) for text in ids)
    assert anomaly_id("M1", "sag", 1_700_000_000_000) == anomaly_id("M1", "sag", 1_700_000_000_000)


@pytest.mark.parametrize(("observed", "half"), [(10.0, 2.0), (10.5, 2.0), (8.0, 2.0), (12.0, 2.0), (100.0, 2.0), (10.0, 0.0)])
def test_the_score_of_a_deviation_is_its_probability(observed: float, half: float) -> None:
    expected = norm.cdf(z := 2.5 * abs(observed - 10.0) / half) - norm.cdf(-z) if half else 1.0
    event = np.zeros(1, EVENT)[0]
    event["observed"], event["expected"], event["lower"], event["upper"] = observed, 10.0, 10.0 - half, 10.0 + half
    assert score("moving_average.voltage", event, {"sigmas": 2.5}) == pytest.approx(expected, abs=1e-12)
    assert score("sag", event, {"below_pu": 0.9}) == 1.0


def test_deadbands_are_shares_of_what_is_rated() -> None:
    assets = AssetBook()
    assets.put("M2", Rating(voltage=120.0, current=100.0, power=5000.0))
    percents = {"voltage": 10, "voltage_min": 10, "current": 10, "active_power": 10, "frequency": 1, "temperature": 20}
    rules = Rules.model_validate({"moving_average": {"deadband_percent": percents}})
    wiring = Wiring("F1", None)
    wiring.add(["M1", "M2"], assets)
    wiring.derive(assets, ParameterSets(rules), rules.signals)
    found = dict(zip(rules.signals, wiring.deadbands[:, 1:].tolist(), strict=True))
    assert found == {
        "voltage": [23.0, 12.0],
        "voltage_min": [23.0, 12.0],
        "current": [6.0, 10.0],
        "active_power": [1380.0, 500.0],
        "frequency": [0.5, 0.5],
        "temperature": [20.0, 20.0],
    }


def test_the_book_changes_only_when_a_rating_does() -> None:
    assets = AssetBook()
    assets.put("M1", Rating())
    assets.put("M1", Rating())
    assert assets.version == 1
    assets.put("M1", Rating(voltage=120))
    assert assets.version == 2
    assert (assets.rating("M1").voltage, assets.rating("unknown").voltage) == (120.0, 230.0)
