"""The judge of tests/bench/quality.py, on faults and anomalies made by hand."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from detection_quality.judging import CONSEQUENCES, Judged, judge
from detection_quality.report import as_text, figures
from detection_quality.trial import Label, Trial, anomalies_of

T0, SECOND = 1_760_000_000_000, 1000


def fault(kind: str, asset: str = "meter-1", start: int = 600, end: int = 700, **given: Any) -> Label:
    meters = frozenset(given.pop("meters", [asset]))
    asset_type = given.pop("asset_type", "METER")
    lineage = frozenset({"tx-1", "feeder-1"})
    return Label(kind, asset, asset_type, "feeder-1", T0 + start * SECOND, T0 + end * SECOND, 0.5, "", meters, lineage)


def event(kind: str, at: int, state: str = "OPENED", asset: str = "meter-1", name: str = "", **given: Any) -> dict[str, Any]:
    ended = given.pop("ended", None)
    return {
        "anomaly_id": name or f"{kind}-{asset}",
        "kind": kind,
        "severity": "WARNING",
        "state": state,
        "asset_id": asset,
        "asset_type": "METER",
        "started_at": T0 + given.pop("started", at) * SECOND,
        "ended_at": None if ended is None else T0 + ended * SECOND,
        "detected_at": T0 + at * SECOND,
        "members": [{"asset_id": member} for member in given.pop("members", ())],
        **given,
    }


def judged(labels: list[Label], events: list[dict[str, Any]]) -> Judged:
    return judge(Trial("by hand", "", 1000, 1.0, T0 + 3600 * SECOND, 10_000, labels, anomalies_of(events)))


def over(kind: str, at: int, ended: int, **given: Any) -> list[dict[str, Any]]:
    """An anomaly from `at` to `ended`."""
    return [event(kind, at, **given), event(kind, ended + 10, "CLOSED", started=at, ended=ended, **given)]


def test_an_anomaly_of_the_kind_at_the_place_and_time_finds_a_fault() -> None:
    result = judged([fault("SAG")], over("SAG", 604, 700))
    assert [(one.is_found, one.is_alarmed, one.delay_ms, one.times) for one in result.found] == [(True, True, 4000, 1.0)]
    assert dict(result.true) == {"SAG": 1}
    assert not result.false


@pytest.mark.parametrize(
    "events", [over("THD", 604, 700), over("SAG", 604, 700, asset="meter-2"), over("SAG", 100, 400), over("SAG", 900, 950)]
)
def test_another_kind_place_or_time_does_not(events: list[dict[str, Any]]) -> None:
    result = judged([fault("SAG")], events)
    assert not result.found[0].is_found
    assert sum(result.false.values()) == 1


def test_what_a_fault_brings_about_is_neither_true_nor_false() -> None:
    result = judged([fault("SAG")], [*over("SAG", 600, 660), *over("UNDERVOLTAGE", 660, 700)])
    assert (dict(result.true), dict(result.neutral), dict(result.false)) == ({"SAG": 1}, {"UNDERVOLTAGE": 1}, {})
    alone = judged([fault("SAG")], over("UNDERVOLTAGE", 660, 700))
    assert not alone.found[0].is_found
    assert alone.found[0].is_seen


def test_an_anomaly_that_changes_its_kind_finds_both() -> None:
    events = [event("SAG", 600, name="a"), event("UNDERVOLTAGE", 660, "UPDATED", name="a", started=600)]
    result = judged([fault("SAG"), fault("UNDERVOLTAGE")], events)
    assert all(one.is_found for one in result.found)


def test_a_cut_of_a_transformer_is_found_at_the_transformer() -> None:
    cut = fault("SILENT", "tx-1", asset_type="TRANSFORMER", meters=["meter-1", "meter-2"])
    in_parts = judged([cut], [*over("SILENT", 660, 700), *over("SILENT", 660, 700, asset="meter-2")])
    assert not in_parts.found[0].is_found
    assert dict(in_parts.neutral) == {"SILENT": 2}
    whole = judged([cut], over("SILENT", 660, 700, asset="tx-1", asset_type="TRANSFORMER"))
    assert whole.found[0].is_found
    above = judged([cut], over("SILENT", 660, 700, asset="feeder-1", asset_type="FEEDER"))
    assert above.found[0].is_found


def test_a_sag_of_many_meters_is_found_at_half_of_them() -> None:
    sag = fault("SAG", "tx-1", asset_type="TRANSFORMER", meters=["meter-1", "meter-2", "meter-3"])
    assert not judged([sag], over("SAG", 600, 700)).found[0].is_found
    two = judged([sag], [*over("SAG", 600, 700), *over("SAG", 600, 700, asset="meter-2")])
    assert two.found[0].is_found
    assert two.found[0].times == pytest.approx(2 / 3)


def test_an_outage_within_a_storm_is_found_by_the_storm_that_names_it() -> None:
    storm = over("STORM", 620, 800, asset="feeder-1", asset_type="FEEDER", members=["meter-1"])
    assert judged([fault("OUTAGE")], storm).found[0].is_found
    assert not judged([fault("OUTAGE", "meter-3")], storm).found[0].is_found


def test_what_is_retracted_counts_only_if_it_was_told_for_longer_than_the_grace() -> None:
    soon = judged([], [event("SILENT", 600), event("SILENT", 605, "RETRACTED")])
    assert not soon.false
    late = judged([], [event("SILENT", 600), event("SILENT", 700, "RETRACTED")])
    assert dict(late.false) == {"SILENT": 1}
    quiet = judged([fault("UNUSUAL")], [event("UNUSUAL", 600, severity="INFO")])
    assert (quiet.found[0].is_found, quiet.found[0].is_alarmed, dict(quiet.true)) == (True, False, {})


def test_alarms_on_near_misses_are_false_and_told() -> None:
    result = judged([fault("NEAR_MISS")], over("SAG", 600, 700))
    assert result.near_misses[0][1] == ("SAG",)
    assert dict(result.false) == {"SAG": 1}
    explained = judged([fault("NEAR_MISS"), fault("SAG")], over("SAG", 600, 700))
    assert explained.near_misses[0][1] == ()


def test_what_no_rule_is_written_for_is_seen_and_not_false() -> None:
    result = judged([fault("OTHER")], [event("UNUSUAL", 610, severity="INFO"), *over("STUCK", 620, 700)])
    assert result.others[0][1] == ("STUCK", "UNUSUAL (INFO)")
    assert not result.false


def test_the_table_of_consequences_names_kinds_and_reasons() -> None:
    kinds = set(CONSEQUENCES) | {kind for brings in CONSEQUENCES.values() for kind in brings}
    assert "NEAR_MISS" not in kinds
    assert all(reason for brings in CONSEQUENCES.values() for reason in brings.values())
    assert all(kind not in brings for kind, brings in CONSEQUENCES.items())


@pytest.mark.parametrize("markdown", [False, True])
def test_figures_become_tables(markdown: bool) -> None:
    result = judged([fault("SAG"), fault("SAG", "meter-9"), fault("NEAR_MISS", "meter-3")], over("SAG", 604, 700))
    told = figures([result])
    assert told["kinds"]["SAG"]["recall"] == 0.5
    assert told["kinds"]["SAG"]["precision"] == 1.0
    text = as_text(told, markdown=markdown)
    assert "50 %" in text
    assert "by hand" in text
