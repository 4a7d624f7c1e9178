"""Each program works with what the access manifest grants it, on a broker that denies everything else."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AdminClient, NewTopic

from gridpulse_demo.receiver import Receiver
from gridpulse_schemas.access import ACCESS
from gridpulse_schemas.topics import ANOMALIES, TOPICS

pytestmark = pytest.mark.servers
APPS = ("ingest", "detector", "influx-sink", "archiver", "alerter")
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
READINGS_SENT = 100 * 120


def command(secured: Any, program: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command line to its end, as the principal of `program`."""
    return subprocess.run(
        [Path(sys.executable).parent / words[0], *words[1:]],
        env={**os.environ, **secured.variables(program), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def topics(secured: Any) -> Any:
    done = command(secured, "setup", "gridpulse-ingest", "topics")
    assert done.returncode == 0, done.stderr
    return secured


def test_the_pipeline_works_with_a_principal_for_each_app(
    topics: Any, start_app: Callable[..., Any], tmp_path: Path, until: Callable[..., Any]
) -> None:
    receiver = Receiver(SECRET, tmp_path / "alerts.jsonl")
    webhook = {
        "GRIDPULSE_WEBHOOK_URL": receiver.url,
        "GRIDPULSE_WEBHOOK_SECRET": SECRET,
        "GRIDPULSE_WEBHOOK_ALLOW_PRIVATE": "true",
    }
    apps = {name: start_app(name, **topics.variables(name), **(webhook if name == "alerter" else {})) for name in APPS}
    for app in apps.values():
        app.wait_ready(120)
    options = ("--meters", "100", "--count", str(READINGS_SENT), "--rate", "5000", "--faults-per-hour", "1800", "--warmup", "60")
    sent = command(topics, "generator", "gridpulse-generator", "run", *options, "--seed", "3", "--json")
    assert sent.returncode == 0, sent.stderr
    detector = apps["detector"]
    until(
        lambda: detector.metric("gridpulse_detector_readings_total", outcome="judged") >= READINGS_SENT, "the last reading", 120
    )
    events = detector.metric("gridpulse_detector_anomalies_total")
    assert events > 0
    until(lambda: len(receiver.alerts) >= events, "the last alert", 120)
    until(lambda: apps["influx-sink"].metric("gridpulse_influx_sink_points_total") > events, "points", 120)
    until(lambda: apps["archiver"].metric("gridpulse_archiver_consumer_lag_messages") == 0, "the archive", 120)
    for app in apps.values():
        assert app.stop() == 0, app.log.read_text()[-3000:]
    assert apps["archiver"].log.read_text().count('"level": "error"') == 0
    receiver.close()
    wanted = next(iter(receiver.alerts.values()))["data"]["anomaly_id"]
    explained = command(topics, "explain", "gridpulse-detector", "explain", wanted, "--json")
    assert explained.returncode == 0, explained.stderr
    assert json.loads(explained.stdout)["same"] is True
    verified = command(topics, "archiver", "gridpulse-archiver", "verify", "--ask-kafka")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    listed = command(topics, "redrive", "gridpulse-redrive", "list")
    assert listed.returncode == 0, listed.stderr


@pytest.mark.parametrize("program", ACCESS)
def test_it_may_do_what_the_manifest_says_and_nothing_else(topics: Any, program: str) -> None:
    admin = AdminClient(topics.client(program))
    for name in TOPICS:
        granted = {grant.operation for grant in ACCESS[program] if (grant.resource, grant.name) == ("topic", name)}
        implied = {"DESCRIBE"} if granted & {"READ", "WRITE"} else set()
        assert allowed(admin, name) == granted | implied, name
    assert cluster_wide(topics.admin)  # that the broker's own user may do much shows that the question is answered
    assert not cluster_wide(admin)


def allowed(admin: AdminClient, topic: str) -> set[str]:
    """What the broker says that this client may do with `topic`; nothing where it may not even know of it."""
    described = admin.describe_topics(TopicCollection([topic]), include_authorized_operations=True)[topic]
    try:
        return {operation.name for operation in described.result(30).authorized_operations}
    except KafkaException as error:
        assert error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED  # noqa: PT017  anything else is a failure
        return set()


def cluster_wide(admin: AdminClient) -> Any:
    return admin.describe_cluster(include_authorized_operations=True).result(30).authorized_operations


def test_a_group_is_its_own(topics: Any, until: Callable[..., Any]) -> None:
    for program in APPS:
        admin = AdminClient(topics.client(program))
        until(lambda admin=admin, program=program: asked(admin, f"gridpulse-{program}") == KafkaError.NO_ERROR, "its own group")
        for other in set(APPS) - {program}:
            assert asked(admin, f"gridpulse-{other}") == KafkaError.GROUP_AUTHORIZATION_FAILED


def asked(admin: AdminClient, group: str) -> int:
    """Code of the answer to who is in `group`; at first no broker may coordinate it yet."""
    try:
        admin.describe_consumer_groups([group])[group].result(30)
    except KafkaException as error:
        return int(error.args[0].code())
    return int(KafkaError.NO_ERROR)


def test_what_is_not_allowed_fails_when_it_is_tried(topics: Any) -> None:
    told: list[Any] = []
    producer = Producer(topics.client("archiver"))
    producer.produce(ANOMALIES, b"forged", on_delivery=lambda error, _: told.append(error.code()))
    producer.flush(30)
    assert told == [KafkaError.TOPIC_AUTHORIZATION_FAILED]
    admin = AdminClient(topics.client("ingest"))
    made = admin.create_topics([NewTopic("mine", 1, 1)])["mine"]
    with pytest.raises(KafkaException) as failed:
        made.result(30)
    assert failed.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize(
    ("variable", "value_of", "told"),
    [
        ("GRIDPULSE_TLS_CA", "GRIDPULSE_KAFKA_SSL_CA_LOCATION", "CERTIFICATE_VERIFY_FAILED"),
        ("GRIDPULSE_KAFKA_SSL_CA_LOCATION", "GRIDPULSE_TLS_CA", "certificate verify failed"),
        ("GRIDPULSE_KAFKA_SASL_PASSWORD_FILE", "GRIDPULSE_TLS_CA", "Authentication failed"),
    ],
)
def test_who_cannot_be_trusted_is_named(topics: Any, variable: str, value_of: str, told: str) -> None:
    wrong = topics.variables("explain")[value_of]
    refused = command(topics, "explain", "gridpulse-detector", "explain", "0" * 8, **{variable: wrong})
    assert refused.returncode == 2, refused.stdout
    assert told in refused.stderr
