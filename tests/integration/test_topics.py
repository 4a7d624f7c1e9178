"""gridpulse-ingest topics against a broker that has none yet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from gridpulse_native import Stack
from gridpulse_schemas.topics import ROLLUPS, TOPICS

COMMAND = [Path(sys.executable).parent / "gridpulse-ingest", "topics"]


@pytest.mark.servers
def test_all_topics_are_made_once_and_then_left_alone(tmp_path: Path) -> None:
    with Stack(tmp_path, {"kafka"}, say=lambda _line: None) as stack:
        environment = {**os.environ, **stack.environment()}
        first = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, check=True, timeout=120)
        assert first.stdout.split() == [word for name, topic in TOPICS.items() for word in (name, str(topic.partitions))]

        admin = AdminClient({"bootstrap.servers": stack.kafka.address})
        made = admin.list_topics(timeout=10).topics
        assert {name: len(made[name].partitions) for name in TOPICS} == {name: topic.partitions for name, topic in TOPICS.items()}

        admin.create_partitions([NewPartitions(ROLLUPS, 9)])[ROLLUPS].result(30)
        again = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, check=True, timeout=120)
        assert f"{ROLLUPS} 9" in again.stdout.splitlines()
        assert "topic made" in first.stderr
        assert "topic made" not in again.stderr
