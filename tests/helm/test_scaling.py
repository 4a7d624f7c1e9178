"""What KEDA is told: of the apps' groups and topics, and where replicas end."""

from __future__ import annotations

from manifests import APPS, component, one
from rendering import Example, Plain

from gridpulse_runtime.settings import AppSettings
from gridpulse_schemas.topics import READINGS_DLQ, TOPICS

MESSAGES_A_SECOND = 1000
"""Of a replica: 100,000 meters in batches of 100."""


def test_replicas_end_at_the_partitions_of_the_manifest(example: Example, plain: Plain) -> None:
    scaled = [each for each in example("production") if each["kind"] == "ScaledObject"]
    assert {component(each) for each in scaled} == set(APPS)
    for each in scaled:
        topics = [trigger["metadata"]["topic"] for trigger in each["spec"]["triggers"]]
        assert {each["spec"]["maxReplicaCount"]} == {TOPICS[topic].partitions for topic in topics}
        assert each["spec"]["minReplicaCount"] == 2
    own = one(plain({"common.autoscaling.enabled": True, "kafka.partitions": 12}), "ScaledObject", "detector")
    assert (own["spec"]["minReplicaCount"], own["spec"]["maxReplicaCount"]) == (1, 12)


def test_lag_is_that_of_the_groups_and_topics_the_apps_have(example: Example) -> None:
    from gridpulse_archiver.topology import TOPICS as ARCHIVED  # noqa: PLC0415

    triggers = {
        component(each): [(t["metadata"]["consumerGroup"], t["metadata"]["topic"]) for t in each["spec"]["triggers"]]
        for each in example("production")
        if each["kind"] == "ScaledObject"
    }
    assert triggers == {
        "ingest": [("gridpulse-ingest", "meter.readings")],
        "detector": [("gridpulse-detector", "meter.readings.valid")],
        "influx-sink": [
            ("gridpulse-influx-sink", "grid.anomalies"),
            ("gridpulse-influx-sink", "grid.rollups"),
            ("gridpulse-influx-sink-readings", "meter.readings.valid"),
        ],
        "archiver": [("gridpulse-archiver", t) for t in ARCHIVED if TOPICS[t].partitions == TOPICS[READINGS_DLQ].partitions],
        "alerter": [("gridpulse-alerter", "grid.anomalies")],
    }


def test_what_comes_between_two_checkpoints_is_no_lag(example: Example) -> None:
    from gridpulse_alerter.settings import AlerterSettings  # noqa: PLC0415
    from gridpulse_archiver.settings import ArchiverSettings  # noqa: PLC0415
    from gridpulse_detector.settings import DetectorSettings  # noqa: PLC0415
    from gridpulse_influx_sink.readings import LONGEST_SECONDS  # noqa: PLC0415
    from gridpulse_ingest.settings import IngestSettings  # noqa: PLC0415

    def default(settings: type[AppSettings], field: str = "commit_interval") -> float:
        return float(settings.model_fields[field].default)

    seconds = {
        "ingest": default(IngestSettings),
        "detector": default(DetectorSettings),
        "influx-sink": LONGEST_SECONDS,
        "archiver": default(ArchiverSettings, "archive_interval"),
        "alerter": default(AlerterSettings),
    }
    for each in example("production"):
        if each["kind"] == "ScaledObject":
            thresholds = {int(trigger["metadata"]["lagThreshold"]) for trigger in each["spec"]["triggers"]}
            assert min(thresholds) >= 1.5 * MESSAGES_A_SECOND * seconds[component(each)]


def test_where_keda_scales_the_chart_does_not(example: Example, plain: Plain) -> None:
    for manifest in example("production"):
        assert manifest["kind"] not in ("Deployment", "StatefulSet") or "replicas" not in manifest["spec"]
    detector = one(plain({"common.autoscaling.enabled": True}), "ScaledObject", "detector")
    assert detector["spec"]["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "name": "grid-gridpulse-detector",
    }
    assert "authenticationRef" not in detector["spec"]["triggers"][0]


def test_keda_signs_in_as_the_brokers_ask(example: Example) -> None:
    scram = example("strimzi-scram")
    (trigger,) = one(scram, "ScaledObject", "detector")["spec"]["triggers"]
    assert trigger["metadata"]["sasl"] == "scram_sha512"
    assert trigger["metadata"]["tls"] == "enable"
    signing = one(scram, "TriggerAuthentication", "scaling")
    assert trigger["authenticationRef"]["name"] == signing["metadata"]["name"]
    assert {each["parameter"]: each["key"] for each in signing["spec"]["secretTargetRef"]} == {
        "password": "password",
        "ca": "ca.crt",
    }
    (username,) = signing["spec"]["configMapTargetRef"]
    assert one(scram, "ConfigMap", "scaling")["data"][username["key"]] == "gridpulse"
