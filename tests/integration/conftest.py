"""What the tests of single apps on real servers share."""

from __future__ import annotations

import pytest

from gridpulse_native import Stack
from gridpulse_runtime.kafka import connect_codec, ensure_topics
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec
from gridpulse_schemas.topics import TOPICS


@pytest.fixture
def kafka(stack: Stack) -> KafkaSettings:
    """Where Kafka and the registry are; all topics are there."""
    environment = stack.environment()
    settings = KafkaSettings(
        kafka_bootstrap=environment["GRIDPULSE_KAFKA_BOOTSTRAP"], schema_registry_url=environment["GRIDPULSE_SCHEMA_REGISTRY_URL"]
    )
    ensure_topics(settings, TOPICS)
    return settings


@pytest.fixture
def codec(kafka: KafkaSettings) -> Codec:
    return connect_codec(kafka)
