"""Kafka's own ids of topics: one that was deleted and made anew has another."""

from collections.abc import Sequence

from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient

from gridpulse_runtime.settings import KafkaSettings

__all__ = ["topic_ids"]

TIMEOUT_SECONDS = 30.0
NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
"""What brokers say that give topics no ids."""


def topic_ids(settings: KafkaSettings, names: Sequence[str]) -> dict[str, str]:
    """Ids by name, of topics that exist; empty where the brokers have none. Raises KafkaException where Kafka does not answer."""
    admin = AdminClient({**settings.kafka_client(), "log_level": 0})
    described = admin.describe_topics(TopicCollection(list(names)), request_timeout=TIMEOUT_SECONDS)
    ids = {name: str(future.result().topic_id) for name, future in described.items()}
    return {name: "" if topic_id == NO_ID else topic_id for name, topic_id in ids.items()}
