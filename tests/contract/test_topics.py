"""The topic manifest against the public contract."""

import pytest

from gridpulse_schemas import topics
from gridpulse_schemas.definitions import NAMES
from gridpulse_schemas.topics import TOPICS, Topic

PUBLIC = {
    "meter.readings": ("feeder_id", {"MeterReading", "MeterReadingBatch"}),
    "meter.readings.valid": ("feeder_id", {"MeterReadingBatch"}),
    "meter.readings.dlq": ("original key", {"MeterReading"}),
    "grid.assets": ("asset_id", {"Asset"}),
    "grid.anomalies": ("feeder_id", {"AnomalyEvent"}),
    "grid.rollups": ("feeder_id", {"Rollup"}),
    "grid.alerts.dlq": ("anomaly_id", set()),
    "grid.sinks.dlq": ("original key", set()),
    "grid.redriven": ("topic/partition/offset of a dead letter", set()),
}
DAY_MS = 86_400_000
every_topic = pytest.mark.parametrize("topic", TOPICS.values(), ids=lambda topic: topic.name)


def test_the_manifest_is_the_contract() -> None:
    found = {name: (topic.key, set(topic.value) & set(NAMES)) for name, topic in TOPICS.items()}
    assert found == PUBLIC


def test_every_topic_has_a_constant() -> None:
    constants = {getattr(topics, name) for name in topics.__all__ if isinstance(getattr(topics, name), str)}
    assert constants == set(PUBLIC)


@every_topic
def test_settings_are_sane(topic: Topic) -> None:
    assert 1 <= topic.partitions <= 64
    assert 1_048_576 <= topic.max_message_bytes <= 4_194_304
    if topic.cleanup == "compact":
        assert "retention.ms" not in topic.config()
    else:
        assert topic.retention_ms >= DAY_MS


def test_only_assets_are_kept_for_ever() -> None:
    assert [topic.name for topic in TOPICS.values() if topic.cleanup == "compact"] == [topics.ASSETS]


def test_a_mark_of_redrive_outlives_the_letter_it_speaks_of() -> None:
    segment = 7 * DAY_MS  # the broker's default: a record is removed with the segment it lies in
    longest = max(TOPICS[name].retention_ms for name in (topics.READINGS_DLQ, topics.ALERTS_DLQ, topics.SINKS_DLQ))
    assert TOPICS[topics.REDRIVEN].config() == {
        "cleanup.policy": "compact,delete",
        "retention.ms": str(TOPICS[topics.REDRIVEN].retention_ms),
        "max.message.bytes": "1048576",
    }
    assert TOPICS[topics.REDRIVEN].retention_ms > longest + segment


def test_what_ingest_writes_may_be_larger_than_what_it_reads() -> None:
    for written in (topics.VALID, topics.READINGS_DLQ):
        assert TOPICS[written].max_message_bytes > TOPICS[topics.READINGS].max_message_bytes


def test_the_chain_by_feeder_keeps_its_partitions() -> None:
    chain = (topics.READINGS, topics.VALID, topics.ANOMALIES, topics.ROLLUPS)
    assert len({TOPICS[name].partitions for name in chain}) == 1
