from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridpulse_detector.commands.evidence import KafkaEvidence
from gridpulse_detector.commands.kafka_log import Bounds
from gridpulse_detector.commands.verdict import compare_verdicts
from gridpulse_runtime.errors import UsageError
from gridpulse_schemas import ReadingBatch, Roster
from gridpulse_schemas.topics import VALID

Run = Callable[..., Any]
Make = Callable[..., Path]


@pytest.fixture
def found(run: Run, recorded: Make, tmp_path: Path) -> tuple[Path, Path, list[dict[str, Any]]]:
    source, out = recorded(), tmp_path / "anomalies.jsonl"
    run("replay", source, "--out", out)
    return source, out, [json.loads(line) for line in out.read_text().splitlines()]


def test_every_anomaly_of_a_replay_gets_the_same_verdict(run: Run, found: tuple[Path, Path, list[dict[str, Any]]]) -> None:
    source, out, events = found
    for anomaly in {event["anomaly_id"] for event in events}:
        result = run("explain", anomaly, "--from", out, "--input", source)
        assert result.code == 0, result.out
        assert "same verdict: OPENED" in result.out


def test_it_tells_what_the_anomaly_rests_on(run: Run, found: tuple[Path, Path, list[dict[str, Any]]]) -> None:
    source, out, events = found
    sag = next(event for event in events if event["kind"] == "SAG" and event["state"] == "CLOSED")
    result = run("explain", sag["anomaly_id"][:8], "--from", out, "--input", source)
    assert result.out.startswith("SAG at m1 (feeder f1), WARNING\n")
    assert "started 2023-11-14 22:17:20Z, ended 2023-11-14 22:17:49Z, 30 abnormal readings" in result.out
    assert f"decided on {source}, partition 0, {sag['evidence']['offset']}" in result.out
    record = run("explain", sag["anomaly_id"], "--from", out, "--input", source, "--json").json()
    assert record["same"] is True
    assert record["anomaly"] == sag
    assert record["again"][-1] == sag


def test_other_rules_give_another_verdict(run: Run, found: tuple[Path, Path, list[dict[str, Any]]], rules: Make) -> None:
    source, out, events = found
    sag = next(event for event in events if event["kind"] == "SAG")
    other = run("explain", sag["anomaly_id"], "--from", out, "--input", source, "--rules", rules("[sag]\nenabled = false\n"))
    assert other.code == 1
    assert "not the same verdict:\n  the rules find no such anomaly in these readings" in other.out
    other = run("explain", sag["anomaly_id"], "--from", out, "--input", source, "--rules", rules("[sag]\nbelow_pu = 0.95\n"))
    assert other.code == 1
    assert "judged again by" in other.out


def test_a_short_lookback_is_enough_for_a_fixed_limit(run: Run, found: tuple[Path, Path, list[dict[str, Any]]]) -> None:
    source, out, events = found
    sag = next(event for event in events if event["kind"] == "SAG")
    assert run("explain", sag["anomaly_id"], "--from", out, "--input", source, "--lookback", 5).code == 0


def test_what_cannot_be_found_is_told(run: Run, found: tuple[Path, Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    source, out, events = found
    cases = {
        ("f" * 32, "--from", out, "--input", source): "no anomaly ffff",
        ("what",): "'what' is no anomaly id",
        (events[0]["anomaly_id"], "--from", tmp_path / "no.jsonl", "--input", source): "cannot be read",
        (events[0]["anomaly_id"], "--from", source, "--input", source): "line 1 is no JSON",
    }
    for words, told in cases.items():
        result = run("explain", *words)
        assert result.code == 2
        assert told in result.err


def test_differences_are_told_by_revision() -> None:
    names = ("kind", "severity", "asset_id", "rule", "started_at", "ended_at", "observed", "lower", "upper")
    opened = {**dict.fromkeys(names, 1), "revision": 1, "state": "OPENED", "rule_version": "a"}
    closed = {**opened, "revision": 2, "state": "CLOSED"}
    later = {**closed, "revision": 3}
    assert compare_verdicts([opened, closed], [opened, closed, later]).same, "what came after it was decided does not count"
    assert compare_verdicts([opened, closed], [opened]).differences == ["revision 2 (CLOSED) does not come again"]
    worse = compare_verdicts([opened], [{**opened, "severity": 2, "rule_version": "b"}])
    assert worse.differences == ["revision 1: severity was 1, is 2"]
    assert worse.notes == ["decided by version a of the rule, judged again by b"]


class FakeMessage:
    def __init__(self, offset: int, feeder: str) -> None:
        self._offset, self._feeder = offset, feeder

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes:
        return self._feeder.encode()

    def value(self) -> bytes:
        return str(self._offset).encode()


class FakeLog:
    """Offsets 10 to 29 of partition 2, two feeders in turn, a second each."""

    codec: Any

    def __init__(self) -> None:
        self.codec = self

    def bounds(self, topic: str) -> dict[int, Bounds]:
        assert topic == VALID
        return {2: Bounds(10, 30)}

    def read(self, topic: str, partition: int, begin: int, end: int) -> Iterator[FakeMessage]:
        assert (topic, partition) == (VALID, 2)
        assert begin >= 10
        return (FakeMessage(offset, f"f{offset % 2}") for offset in range(begin, end))

    def decode_batch(self, value: bytes) -> ReadingBatch:
        return ReadingBatch(f"f{int(value) % 2}", Roster.of(["m"]), int(value) * 1000, np.zeros(1, np.int32))


def anomaly(offset: int, first: int, topic: str = VALID) -> dict[str, Any]:
    place = {"topic": topic, "partition": 2, "offset": offset, "ordinal": 0, "first_offset": first}
    return {"feeder_id": "f0", "started_at": 20_000, "evidence": place}


def test_evidence_in_kafka_is_the_feeders_up_to_the_deciding_record() -> None:
    evidence = KafkaEvidence(FakeLog())  # type: ignore[arg-type]
    assert [placed.offset for placed in evidence.batches(anomaly(24, 20), None)] == [10, 12, 14, 16, 18, 20, 22, 24]
    assert [placed.offset for placed in evidence.batches(anomaly(24, 20), 4)] == [16, 18, 20, 22, 24]


@pytest.mark.parametrize(("offset", "first"), [(8, 8), (20, 9), (30, 20), (5, -1)])
def test_records_that_are_no_longer_retained_are_told(offset: int, first: int) -> None:
    with pytest.raises(UsageError, match=r"holds offsets 10 to 29; .* no longer retained: use --archive"):
        list(KafkaEvidence(FakeLog()).batches(anomaly(offset, first), None))  # type: ignore[arg-type]


def test_evidence_in_a_file_is_not_looked_for_in_kafka() -> None:
    with pytest.raises(UsageError, match=r"lies in meters\.csv, not in Kafka: name the file with --input"):
        list(KafkaEvidence(FakeLog()).batches(anomaly(20, 20, "meters.csv"), None))  # type: ignore[arg-type]
