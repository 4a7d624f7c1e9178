"""gridpulse-ingest topics."""

import sys

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from gridpulse_runtime import logs
from gridpulse_runtime.kafka import ensure_topics
from gridpulse_runtime.settings import KafkaSettings, load
from gridpulse_schemas.topics import TOPICS

__all__ = ["topics"]


def topics() -> None:
    """Make the topics of the pipeline that are missing, print all with their partitions, and end.

    Waits until Kafka answers; what exists is left as it is. Exit code 1 where Kafka refuses. The apps do the same for the topics
    each of them works with: this is for where one principal alone may create topics. Where Kafka is: GRIDPULSE_KAFKA_*.
    """
    settings = load(KafkaSettings)
    logs.configure("ingest", style=settings.log_format, level=settings.log_level)
    try:
        ensure_topics(settings, TOPICS)
        found = AdminClient({**settings.kafka_client(), "log_level": 0}).list_topics(timeout=10).topics
    except KafkaException as error:
        sys.stderr.write(f"gridpulse-ingest topics: Kafka at {settings.kafka_bootstrap}: {error.args[0].str()}\n")
        raise SystemExit(1) from None
    for name in TOPICS:
        sys.stdout.write(f"{name} {len(found[name].partitions)}\n")
