from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gridpulse_detector.commands.shadow import compare

Run = Callable[..., Any]
Make = Callable[..., Path]


def event(
    rule: str, started: int, ended: int | None, severity: str = "WARNING", asset: str = "m1", revision: int = 1
) -> dict[str, Any]:
    return {
        "anomaly_id": f"{asset}-{rule}-{started}",
        "revision": revision,
        "asset_id": asset,
        "rule": rule,
        "kind": rule.upper(),
        "severity": severity,
        "state": "OPENED" if ended is None else "CLOSED",
        "started_at": started,
        "ended_at": ended,
    }


def test_alerts_are_paired_by_asset_rule_and_overlap() -> None:
    first = [event("sag", 100, 200), event("sag", 500, 600), event("swell", 100, 200), event("sag", 900, None)]
    second = [event("sag", 90, 210), event("sag", 700, 800), event("swell", 100, 200), event("sag", 900, None, asset="m2")]
    difference = compare(first, second)
    assert [(a.started_at, b.started_at) for a, b in difference.changed] == [(100, 90)]
    assert [alert.started_at for alert in difference.only_first] == [500, 900]
    assert [(alert.asset_id, alert.started_at) for alert in difference.only_second] == [("m1", 700), ("m2", 900)]
    assert [alert.rule for alert in difference.same] == ["swell"]
    assert difference.kinds()["SAG"] == {
        "only_first": 2,
        "only_second": 2,
        "both": 1,
        "severity_changed": 0,
        "duration_changed": 1,
    }


def test_the_newest_revision_counts_and_a_retracted_alert_does_not() -> None:
    first = [event("sag", 100, None), event("sag", 100, 200, "ERROR", revision=2)]
    retracted = event("sag", 100, 200, revision=2) | {"state": "RETRACTED"}
    difference = compare(first, [event("sag", 100, None), retracted])
    assert [alert.severity for alert in difference.only_first] == ["ERROR"]
    assert compare(first, [event("sag", 100, 200)]).kinds()["SAG"]["severity_changed"] == 1


def test_replay_prints_what_a_change_would_have_done(run: Run, recorded: Make, rules: Make) -> None:
    changed = rules("[swell]\nenabled = false\n\n[sag]\nbelow_pu = 0.80\n")
    result = run("replay", recorded(), "--shadow", changed)
    assert result.code == 0
    assert "only in the first:\n  m1 sag WARNING 2023-11-14 22:17:20Z to 2023-11-14 22:17:49Z" in result.out
    assert "m2 swell WARNING" in result.out
    record = run("replay", recorded(), "--shadow", changed, "--json").json()["shadow"]
    assert record["kinds"]["SWELL"]["only_first"] == 1
    assert [alert["asset_id"] for alert in record["only_first"]] == ["m1", "m2"]
    assert record["only_second"] == []


def test_equal_rules_make_no_difference(run: Run, recorded: Make, rules: Make) -> None:
    record = run("replay", recorded(), "--shadow", rules(""), "--json", "--rules", rules("")).json()["shadow"]
    assert (record["only_first"], record["only_second"], record["changed"]) == ([], [], [])
    assert sum(counts["both"] for counts in record["kinds"].values()) >= 3
