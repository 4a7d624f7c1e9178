import io
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from rich.console import Console

from gridpulse_generator import commands
from gridpulse_generator.assets import asset_records
from gridpulse_generator.course import Course, chart
from gridpulse_generator.errors import UndeliveredError
from gridpulse_generator.grid import Grid
from gridpulse_generator.pacing import Pacer, Stop
from gridpulse_generator.plan import FaultPlan
from gridpulse_generator.progress import Progress
from gridpulse_generator.running import Run
from gridpulse_generator.scenario import read_scenario
from gridpulse_generator.sending import Sender
from gridpulse_generator.session import Session
from gridpulse_generator.simulation import Simulation
from gridpulse_generator.truth import TruthFile
from gridpulse_schemas import Codec, ReadingBatch

NOW = 1_760_097_600_000
HOUR = 3_600_000


class FakeClock:
    def __init__(self) -> None:
        self.now = 50.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class FakeKafka:
    """Takes `room` messages until polled; refuses what `refusal` says."""

    def __init__(self, clock: FakeClock, room: int = 10**9, refusal: str = "", lost: int = 0) -> None:
        self.clock, self.room, self.refusal, self.lost = clock, room, refusal, lost
        self.sent: list[tuple[float, str, bytes, bytes]] = []
        self.free = room
        self.polls = 0

    def produce(self, topic: str, value: bytes, key: bytes, on_delivery: Callable[[Any, Any], None]) -> None:
        if self.refusal == "fatal":
            raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
        if self.free == 0:
            raise BufferError
        self.free -= 1
        if self.refusal == "late":
            on_delivery(KafkaError(KafkaError._MSG_TIMED_OUT), None)
        self.sent.append((self.clock.now, topic, key, value))

    def poll(self, timeout: float) -> int:
        self.polls += 1
        if timeout:
            self.free = self.room
        return 0

    def flush(self, timeout: float) -> int:
        assert timeout > 0
        return self.lost


def test_a_pace_is_kept_without_drift_and_caught_up() -> None:
    clock = FakeClock()
    pacer = Pacer(clock.pause, clock)
    for due in (0.0, 0.1, 0.2):
        pacer.wait_until(due)
        clock.now += 0.03
    assert clock.pauses == pytest.approx([0.07, 0.07])
    clock.now += 1.0
    pacer.wait_until(0.3)
    pacer.wait_until(0.4)
    assert len(clock.pauses) == 2, "what is late goes on at once"
    pacer.wait_until(1.5)
    assert pacer.elapsed == pytest.approx(1.5)


def course(**given: Any) -> Course:
    return chart(**{"now": NOW, "meters": 1000, "interval_ms": 1000, **given})


def test_real_time_begins_now() -> None:
    assert course() == Course(NOW, 1000.0, None, None, hold=False)
    assert course(rate=10.0, count=5000).start == NOW
    assert course(duration=60.0).readings == 60_000
    assert course(duration=60.0).ticks(1000) == 60


def test_a_faster_run_never_passes_now() -> None:
    assert course(rate=5000.0, count=100_500).start == NOW - 101_000
    assert course(rate=5000.0, duration=10.0) == Course(NOW - 50_000, 5000.0, 50_000, None, hold=True)
    assert course(rate=math.inf, count=7000).start == NOW - 7000


def test_an_endless_faster_run_begins_a_day_ago_and_holds_at_now() -> None:
    assert course(rate=math.inf) == Course(NOW - 24 * HOUR, math.inf, None, None, hold=True)
    timed = course(rate=math.inf, duration=60.0)
    assert timed.seconds == 60.0
    assert timed.start <= NOW - 60 * 20_000 * 1000 + 1000


def test_a_given_start_stands() -> None:
    assert course(rate=math.inf, start=5) == Course(5, math.inf, None, None, hold=False)


class Rig:
    """A run against fakes."""

    def __init__(self, codec: Codec, grid: Grid, course: Course, plan: FaultPlan | None = None, **given: Any) -> None:
        self.clock = FakeClock()
        self.kafka = given.pop("kafka", None) or FakeKafka(self.clock)
        self.kafka.clock = self.clock
        self.stop = Stop()
        self.codec = codec
        plan = plan or FaultPlan(grid)
        singles = given.pop("singles", False)
        self.sender = Sender(self.kafka, codec, singles=singles, stopping=lambda: self.stop.requested, wall=lambda: NOW / 1000)
        self.simulation = Simulation(grid, start=course.start, plan=plan)
        pacer = Pacer(self.clock.pause, self.clock)
        self.run = Run(self.simulation, plan, course, self.sender, pacer=pacer, stop=self.stop, wall_start=NOW, **given)

    def go(self) -> list[ReadingBatch]:
        self.run.go(Progress(None, Console(file=io.StringIO()), self.clock))
        return [self.codec.decode_batch(value) for _, _, _, value in self.kafka.sent]


def test_batches_are_spread_evenly_and_sent_by_feeder(codec: Codec) -> None:
    rig = Rig(codec, Grid(400), Course(NOW, 400.0, 1200, None, hold=False))
    batches = rig.go()
    assert [at - 50.0 for at, *_ in rig.kafka.sent] == pytest.approx([number * 0.25 for number in range(12)])
    assert [key.decode() for _, _, key, _ in rig.kafka.sent[:4]] == [f"feeder-000{n}" for n in range(1, 5)]
    assert {topic for _, topic, _, _ in rig.kafka.sent} == {"meter.readings"}
    for (at, *_), batch in zip(rig.kafka.sent, batches, strict=True):
        assert batch.base_timestamp == pytest.approx(NOW + (at - 50.0) * 1000), "measured when it is sent"
        assert batch.sent_at == NOW
    summary = rig.run.summary()
    assert (summary.readings, summary.messages, summary.last) == (1200, 12, "2025-10-10T12:00:02Z")


def test_a_count_is_kept_to_the_reading(codec: Codec) -> None:
    batches = Rig(codec, Grid(250), Course(NOW, math.inf, 430, None, hold=False)).go()
    assert [batch.rows for batch in batches] == [100, 100, 50, 100, 80]


def test_what_is_lost_or_silent_does_not_hurry_the_run(codec: Codec, tmp_path: Path) -> None:
    grid = Grid(250, 100, heads=True)
    (tmp_path / "s.toml").write_text('[[fault]]\nkind = "SILENT"\nasset = "feeder-0002"\nstart = 2\nduration = 4\n')
    plan = FaultPlan(grid, scenario=read_scenario(tmp_path / "s.toml", grid))
    truth = TruthFile(tmp_path / "truth.jsonl")
    course = Course(NOW, float(grid.devices), 8 * grid.devices - 1, None, hold=False)
    rig = Rig(codec, grid, course, plan, truth=truth)
    batches = rig.go()
    times = [(batch.base_timestamp - NOW) / 1000 for batch in batches if batch.feeder_id == "feeder-0002"]
    assert [round(time, 1) for time in times] == [0.4, 1.4, 6.4, 7.4]
    assert [at - 50.0 for at, *_ in rig.kafka.sent] == pytest.approx([(b.base_timestamp - NOW) / 1000 for b in batches], abs=0.02)
    assert batches[-1].rows == 50 + 2 - 1, "the count is of the readings due"
    label = json.loads((tmp_path / "truth.jsonl").read_text())
    assert (label["start"] - NOW, label["end"] - NOW, len(label["meters"])) == (2400, 5400, 104)


def test_a_run_that_caught_up_goes_on_in_real_time(codec: Codec) -> None:
    rig = Rig(codec, Grid(100), Course(NOW - 5000, math.inf, 1000, None, hold=True))
    rig.go()
    assert [at - 50.0 for at, *_ in rig.kafka.sent] == pytest.approx([0, 0, 0, 0, 0, 0, 1, 2, 3, 4])


def test_a_run_ends_with_its_time(codec: Codec) -> None:
    rig = Rig(codec, Grid(100), Course(NOW - 5000, math.inf, None, 3.0, hold=True))
    assert len(rig.go()) == 8


def test_a_signal_ends_the_run_and_cuts_the_truth_to_what_was_sent(codec: Codec, tmp_path: Path) -> None:
    grid = Grid(200)
    (tmp_path / "s.toml").write_text(
        '[[fault]]\nkind = "SAG"\nasset = "meter-0001-001"\nstart = 2\nduration = 30\n'
        '[[fault]]\nkind = "SWELL"\nasset = "meter-0002-001"\nstart = 3\nduration = 30\n'
        '[[fault]]\nkind = "SWELL"\nasset = "meter-0002-002"\nstart = 5\nduration = 30\n'
    )
    plan = FaultPlan(grid, scenario=read_scenario(tmp_path / "s.toml", grid))
    truth = TruthFile(tmp_path / "truth.jsonl")
    rig = Rig(codec, grid, Course(NOW, 200.0, None, None, hold=False), plan, truth=truth)

    def signal_after_1100(seconds: float) -> None:
        assert seconds > 0
        if rig.sender.readings >= 1100:
            rig.stop.request()

    rig.run._pacer = Pacer(signal_after_1100, rig.clock)
    batches = rig.go()
    assert sum(batch.rows for batch in batches) == 1100
    lines = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    assert [(line["kind"], line["start"] - NOW, line["end"] - NOW) for line in lines] == [
        ("SAG", 2000, 5000),
        ("SWELL", 3500, 4500),
    ]
    assert rig.run.summary().faults == {"SAG": 1, "SWELL": 1}


def test_singles_carry_the_same_readings(codec: Codec) -> None:
    grid = Grid(130)
    batches = Rig(codec, grid, Course(NOW, math.inf, 260, None, hold=False)).go()
    rig = Rig(codec, grid, Course(NOW, math.inf, 260, None, hold=False), singles=True)
    rig.run.go(Progress(None, Console(file=io.StringIO())))
    records = [codec.decode("MeterReading", value) for _, _, _, value in rig.kafka.sent]
    assert len(records) == rig.sender.messages == 260
    rows = [(batch, row) for batch in batches for row in range(batch.rows)]
    for record, (batch, row) in zip(records, rows, strict=True):
        assert record["meter_id"] == batch.roster.ids[row]
        assert record["timestamp"] == batch.timestamps()[row]
        assert record["voltage"] == batch.columns["voltage"][row]
        assert (record["voltage_b"] is None) == (grid.phases[grid.lookup[record["meter_id"]][1]] == 1)
        assert record["sent_at"] == NOW


def test_options_of_the_run_reach_the_readings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], codec: Codec, tmp_path: Path
) -> None:
    kafka = FakeKafka(FakeClock())

    @contextmanager
    def connected(*, as_json: bool, singles: bool) -> Iterator[Session]:
        assert not singles
        yield Session(Sender(kafka, codec), Stop(), as_json)

    monkeypatch.setattr(commands, "connected", connected)
    commands.run(
        meters=50,
        meters_per_feeder=50,
        interval=60.0,
        seed=2,
        start=NOW,
        rate=math.inf,
        count=52 * 200,
        faults_per_hour=60,
        fault_kinds="THD, unbalance",
        truth=tmp_path / "truth.jsonl",
        transformer_meters=True,
        missing=0.1,
        interval_means=True,
        weekends=True,
        as_json=True,
    )
    told = json.loads(capsys.readouterr().out)
    assert set(told["faults"]) == {"THD", "UNBALANCE"}
    batches = [codec.decode_batch(value) for _, topic, _, value in kafka.sent if topic == "meter.readings"]
    assert len(batches) == 200
    assert sum(batch.rows for batch in batches) == told["readings"] == pytest.approx(0.9 * 52 * 200, rel=0.03)
    assert any("tx-0001-1" in batch.roster.ids for batch in batches)
    labels = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    assert {label["kind"] for label in labels} == {"THD", "UNBALANCE"}


def test_a_full_queue_is_waited_for(codec: Codec) -> None:
    clock = FakeClock()
    kafka = FakeKafka(clock, room=3)
    assert len(Rig(codec, Grid(1000), Course(NOW, math.inf, 1000, None, hold=False), kafka=kafka).go()) == 10


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"refusal": "late"}, "10 messages were not delivered: .*timed out"),
        ({"lost": 4}, "4 messages were not delivered"),
        ({"refusal": "fatal"}, "Kafka refuses"),
    ],
)
def test_what_is_not_delivered_is_told(codec: Codec, settings: dict[str, Any], told: str) -> None:
    kafka = FakeKafka(FakeClock(), **settings)
    rig = Rig(codec, Grid(1000), Course(NOW, math.inf, 1000, None, hold=False), kafka=kafka)
    with pytest.raises(UndeliveredError, match=told):
        rig.go()


def test_assets_are_keyed_by_their_id(codec: Codec) -> None:
    kafka = FakeKafka(FakeClock())
    assert Sender(kafka, codec).send_assets(asset_records(Grid(30))) == len(kafka.sent) == 34
    for _, topic, key, value in kafka.sent:
        assert topic == "grid.assets"
        assert codec.decode("Asset", value)["asset_id"] == key.decode()


def test_progress_is_told_every_few_seconds_in_plain_lines() -> None:
    out, clock = io.StringIO(), FakeClock()
    with Progress(1000, Console(file=out), clock) as progress:
        for readings in range(100, 1100, 100):
            clock.now += 1.0
            progress.update(readings, NOW, 3)
    assert out.getvalue().splitlines() == [
        "500 of 1,000 readings, 100/s, event time 2025-10-10T12:00:00Z, 3 faults",
        "1,000 of 1,000 readings, 100/s, event time 2025-10-10T12:00:00Z, 3 faults",
    ]
