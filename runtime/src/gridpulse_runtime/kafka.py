"""Topics and the registry at start: made where missing, waited for where absent."""

import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec, Registry, RegistryUnavailableError
from gridpulse_schemas.definitions import NAMES
from gridpulse_schemas.topics import TOPICS

__all__ = ["PRODUCER", "connect_codec", "ensure_topics"]

log = structlog.get_logger(__name__)
T = TypeVar("T")
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0

PRODUCER: dict[str, Any] = {
    "partitioner": "murmur2",  # Java's choice, and Quix's: the same key finds the same partition from every client
    "enable.idempotence": True,
    "linger.ms": 1,
    "message.max.bytes": 4_194_304,  # the largest of the manifest
    "compression.type": "lz4",
}
"""librdkafka settings of every producer."""


def wait_for(what: str, attempt: Callable[[], T], failures: tuple[type[Exception], ...]) -> T:
    """Call `attempt` until it does not raise one of `failures`, saying every time what is waited for."""
    pause = FIRST_PAUSE
    while True:
        try:
            return attempt()
        except failures as error:
            log.warning("waiting", waiting_for=what, error=str(error), next_try_in_seconds=pause)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def ensure_topics(settings: KafkaSettings, names: Iterable[str]) -> None:
    """Make the topics of the manifest that are missing; waits until the broker answers.

    Raises KafkaException where the broker refuses for another reason than that the topic is there.
    """
    admin = AdminClient({**settings.kafka_client(), "log_level": 0})
    where = f"Kafka at {settings.kafka_bootstrap} (GRIDPULSE_KAFKA_BOOTSTRAP)"
    existing = wait_for(where, lambda: admin.list_topics(timeout=5).topics, (KafkaException,))
    missing = [TOPICS[name] for name in names if name not in existing]
    if not missing:
        return
    replication = min(3, len(admin.list_topics(timeout=5).brokers))
    new = [
        NewTopic(topic.name, num_partitions=topic.partitions, replication_factor=replication, config=topic.config())
        for topic in missing
    ]
    for name, made in admin.create_topics(new, request_timeout=30).items():
        try:
            made.result()
            log.info("topic made", topic=name, partitions=TOPICS[name].partitions)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def connect_codec(settings: KafkaSettings, names: tuple[str, ...] = NAMES) -> Codec:
    """Register the schemas `names` and return their codec; waits until the registry answers."""
    where = f"the schema registry at {settings.schema_registry_url} (GRIDPULSE_SCHEMA_REGISTRY_URL)"
    codec = wait_for(where, lambda: Codec(Registry(settings.schema_registry_url), names), (RegistryUnavailableError,))
    codec.warm_up()
    return codec
