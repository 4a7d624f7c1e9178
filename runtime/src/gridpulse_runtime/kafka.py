"""Topics and the registry at start: made where missing, waited for where absent."""

import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from gridpulse_runtime.errors import UnavailableError
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec, Registry, RegistryUnavailableError
from gridpulse_schemas.definitions import NAMES
from gridpulse_schemas.topics import TOPICS

__all__ = ["PRODUCER", "Trouble", "connect_codec", "ensure_topics", "registry_of"]

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


class Trouble:
    """Why brokers do not answer, as the client last complained of it: a certificate, a password. The `error_cb` of a client.

    The error of a call tells only that none answered. The client calls this while it is polled.
    """

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, error: KafkaError) -> None:
        """Keep it, unless it says no more than the call does."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001  the constant's public name
            self._last = error.str()

    def with_reason(self, error: KafkaException) -> str:
        """What the call said, and why."""
        return f"{error.args[0].str()} ({self._last})" if self._last else str(error.args[0].str())


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
    trouble = Trouble()
    admin = AdminClient({**settings.kafka_client(), "log_level": 0, "error_cb": trouble})
    where = f"Kafka at {settings.kafka_bootstrap} (GRIDPULSE_KAFKA_BOOTSTRAP)"

    def listed() -> Any:
        try:
            return admin.list_topics(timeout=5).topics
        except KafkaException as error:
            admin.poll(0)
            raise UnavailableError(trouble.with_reason(error)) from None

    existing = wait_for(where, listed, (UnavailableError,))
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


def registry_of(settings: KafkaSettings) -> Registry:
    """The schema registry; asks nothing of it yet."""
    password = settings.schema_registry_password
    return Registry(
        settings.schema_registry_url,
        ca=settings.https_ca(),
        user=settings.schema_registry_username,
        password=password.get_secret_value() if password else None,
    )


def connect_codec(settings: KafkaSettings, names: tuple[str, ...] = NAMES) -> Codec:
    """Register the schemas `names` and return their codec; waits until the registry answers."""
    where = f"the schema registry at {settings.schema_registry_url} (GRIDPULSE_SCHEMA_REGISTRY_URL)"
    codec = wait_for(where, lambda: Codec(registry_of(settings), names), (RegistryUnavailableError,))
    codec.warm_up()
    return codec
