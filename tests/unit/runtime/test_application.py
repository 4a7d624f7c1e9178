"""What is ours of the Quix application."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition
from prometheus_client import CollectorRegistry

from gridpulse_runtime.application import make_application, transactional_id
from gridpulse_runtime.hooks import tell_checkpoints
from gridpulse_runtime.metrics import AppMetrics
from gridpulse_runtime.settings import AppSettings
from gridpulse_runtime.stream_application import patient, where_committed


class Broker:
    """Answers commits with `failures`, then takes them."""

    def __init__(self, *failures: int) -> None:
        self.failures = list(failures)
        self.committed: list[Any] = []

    def commit(self, **options: Any) -> list[TopicPartition]:
        if self.failures:
            raise KafkaException(KafkaError(self.failures.pop(0)))
        self.committed.append(options)
        return [TopicPartition("t", 0, 1)]


def test_a_commit_waits_for_a_coordinator() -> None:
    broker = Broker(KafkaError._WAIT_COORD, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)
    committed = patient(broker.commit)(offsets=["o"], asynchronous=False)
    assert [(place.topic, place.offset) for place in committed] == [("t", 1)]
    assert broker.committed == [{"offsets": ["o"], "asynchronous": False}]


@pytest.mark.parametrize("code", [KafkaError.UNKNOWN_MEMBER_ID, KafkaError.REBALANCE_IN_PROGRESS, KafkaError.ILLEGAL_GENERATION])
def test_who_lost_the_partitions_is_told_at_once(code: int) -> None:
    broker = Broker(code)
    with pytest.raises(KafkaException):
        patient(broker.commit)(offsets=[], asynchronous=False)
    assert broker.committed == []


def test_where_to_read_from_is_asked_until_a_coordinator_says() -> None:
    answers = [KafkaError.NOT_COORDINATOR, KafkaError._TIMED_OUT]

    def committed(places: list[TopicPartition], **_: float) -> list[TopicPartition]:
        if answers:
            raise KafkaException(KafkaError(answers.pop()))
        return [TopicPartition(place.topic, place.partition, 7 if place.partition else -1001) for place in places]

    found = where_committed(SimpleNamespace(committed=committed), [TopicPartition("t", number) for number in range(2)])
    assert [(place.partition, place.offset) for place in found] == [(0, OFFSET_BEGINNING), (1, 7)]


def test_replicas_have_transactional_ids_of_their_own_and_keep_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert transactional_id(AppSettings(instance_id="2"), "detector") == "detector-2"
    assert transactional_id(AppSettings(instance_id="2"), "influx-sink", "readings") == "influx-sink-readings-2"
    monkeypatch.setattr("socket.gethostname", lambda: "a")
    one, beside = (transactional_id(AppSettings(metrics_port=port), "detector") for port in (8000, 8001))
    assert one != beside
    assert one == transactional_id(AppSettings(metrics_port=8000), "detector")
    monkeypatch.setattr("socket.gethostname", lambda: "b")
    assert transactional_id(AppSettings(metrics_port=8000), "detector") not in (one, beside)


@pytest.mark.parametrize("interval", [0.5, 10.0, 300.0])
def test_kafka_waits_longer_for_a_transaction_than_a_checkpoint_for_the_next(interval: float, tmp_path: Path) -> None:
    settings = AppSettings(processing_guarantee="exactly-once", commit_interval=interval, state_dir=tmp_path)
    app = make_application(settings, "detector", AppMetrics.of("detector", CollectorRegistry()))
    assert app.config.producer_extra_config["transaction.timeout.ms"] > 1000 * interval


class Checkpoint:
    """As Quix's: a commit ends quietly where a sink is not ready, and then its partitions are paused."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def commit(self) -> None:
        if self.app.sink_down:
            self.app._consumer.backpressured_tps = {PLACE}

    def close(self) -> None:
        pass


PLACE = TopicPartition("t", 0)


class StreamingApp:
    def __init__(self) -> None:
        self.sink_down = False
        self.assigned = [PLACE]
        self._consumer = SimpleNamespace(backpressured_tps=set(), assignment=lambda: self.assigned)
        self._processing_context = SimpleNamespace(init_checkpoint=self.make, checkpoint=None)
        self.registry = CollectorRegistry()
        tell_checkpoints(self, AppMetrics.of("test", self.registry))  # type: ignore[arg-type]
        self._processing_context.init_checkpoint()

    def make(self) -> None:
        self._processing_context.checkpoint = Checkpoint(self)

    def told(self, what: str) -> bool:
        """End a checkpoint by `commit` or `close`; whether it was told to be complete."""
        gauge = self.registry._names_to_collectors["gridpulse_test_last_checkpoint_timestamp_seconds"]
        gauge.set(0)  # type: ignore[attr-defined]
        getattr(self._processing_context.checkpoint, what)()
        self._processing_context.init_checkpoint()
        return bool(self.registry.get_sample_value("gridpulse_test_last_checkpoint_timestamp_seconds"))


def test_checkpoints_are_timed_and_told() -> None:
    app = StreamingApp()
    assert app.registry.get_sample_value("gridpulse_test_last_checkpoint_timestamp_seconds"), "a start counts as one"
    assert app.told("commit")
    assert app.told("close"), "nothing was to be committed"
    assert app.registry.get_sample_value("gridpulse_test_checkpoint_seconds_count") == 1


def test_a_checkpoint_whose_sink_waits_is_not_complete_until_its_records_are_committed() -> None:
    app = StreamingApp()
    app.sink_down = True
    assert not app.told("commit")
    app._consumer.backpressured_tps = set()  # the pause is over, its records not yet read again
    assert not app.told("close")
    app.sink_down = False
    assert app.told("commit")


def test_who_lost_its_partitions_owes_nothing() -> None:
    app = StreamingApp()
    app.sink_down = True
    assert not app.told("commit")
    app.assigned = []
    assert app.told("close")
