"""Injected against detected: what counts as found, missed, beyond judgement and unexplained."""

from datetime import UTC, datetime
from typing import Any

from gridpulse_demo.metrics import quantile
from gridpulse_demo.outcome import Score, compare

START = 1_760_000_000_000


def fault(kind: str, second: int, last: int, *meters: str) -> dict[str, Any]:
    return {"kind": kind, "start": START + second * 1000, "end": START + last * 1000, "meters": list(meters or ["M1"])}


def alert(
    kind: str, second: int, meter: str = "M1", name: str = "a", state: str = "OPENED", at: int | None = None
) -> dict[str, Any]:
    started, detected = (
        datetime.fromtimestamp(START / 1000 + of, UTC).isoformat() for of in (second, second if at is None else at)
    )
    return {
        "data": {
            "anomaly_id": name,
            "kind": kind,
            "asset_id": meter,
            "state": state,
            "started_at": started,
            "detected_at": detected,
        }
    }


def test_found_missed_and_unexplained() -> None:
    truth = [fault("SAG", 100, 110, "M1", "M2")]
    alerts = [alert("SAG", 100), alert("SAG", 100), alert("SWELL", 100, name="b"), alert("SAG", 200, "M2", "c")]
    assert compare(truth, alerts) == {"SAG": Score(2, 1, 0, 1), "SWELL": Score(0, 0, 0, 1)}


def test_an_anomaly_of_an_earlier_run_that_comes_back_finds_a_fault_of_this_one() -> None:
    truth = [fault("SAG", 100, 110)]
    before = [alert("SAG", 40, state="CLOSED", at=95), alert("SWELL", 50, name="b", state="CLOSED", at=96)]
    assert compare(truth, before, START + 90_000) == {"SAG": Score(1, 0, 0, 0)}
    back = [*before, alert("SAG", 40, state="UPDATED", at=101)]
    assert compare(truth, back, START + 90_000) == {"SAG": Score(1, 1, 0, 0)}
    assert compare(truth, [*back, alert("SAG", 150, name="c")], START + 90_000) == {"SAG": Score(1, 1, 0, 1)}


def test_an_undervoltage_is_also_a_sag_but_a_sag_alone_does_not_find_it() -> None:
    truth = [fault("UNDERVOLTAGE", 0, 90)]
    assert compare(truth, [alert("SAG", 0)]) == {"UNDERVOLTAGE": Score(1, 0, 0, 0)}
    assert compare(truth, [alert("SAG", 0), alert("UNDERVOLTAGE", 0, name="b")]) == {"UNDERVOLTAGE": Score(1, 1, 0, 0)}


def test_cut_short_by_the_end_of_the_run() -> None:
    assert compare([fault("UNDERVOLTAGE", 0, 30)], [alert("SAG", 0)]) == {"UNDERVOLTAGE": Score(1, 1, 0, 0)}
    assert compare([fault("DEVIATION", 100, 101)], [], START) == {"DEVIATION": Score(1, 0, 1, 0)}


def test_a_deviation_before_normal_is_known() -> None:
    assert compare([fault("DEVIATION", 30, 50), fault("DEVIATION", 90, 99)], [], START) == {"DEVIATION": Score(2, 0, 1, 0)}


def test_quantiles_interpolate_within_their_bucket() -> None:
    buckets = {0.1: 0.0, 0.2: 50.0, 0.4: 100.0, float("inf"): 100.0}
    assert quantile(buckets, 0.5) == 0.2
    assert abs(quantile(buckets, 0.75) - 0.3) < 1e-12
    assert quantile({0.1: 0.0, float("inf"): 0.0}, 0.5) != quantile(buckets, 0.5)
