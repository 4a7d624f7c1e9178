"""Mistakes in the values: refused by their names."""

from __future__ import annotations

from typing import Any

import pytest
from rendering import SMALLEST, Helm, sets


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"apps.ingest.replcas": 2}, ("apps/ingest", "replcas")),
        ({"apps.injest": {}}, ("apps", "injest")),
        ({"kafka.bootstrap": "kafka:9092"}, ("kafka", "bootstrap")),
        ({"kafka.bootstrapServers": "kafka"}, ("kafka/bootstrapServers",)),
        ({"kafka.bootstrapServers": ""}, ("kafka.bootstrapServers is not set",)),
        ({"schemaRegistry.url": ""}, ("schemaRegistry.url is not set",)),
        ({"schemaRegistry.url": "registry:8080"}, ("schemaRegistry/url",)),
        ({"influxdb.existingSecret": ""}, ("influxdb.existingSecret is not set",)),
        ({"s3.endpoint": ""}, ("s3.endpoint is not set",)),
        ({"apps.archiver.enabled": False, "s3.endpoint": "", "archive.verify.enabled": True}, ("s3.endpoint is not set",)),
        ({"kafka.securityProtocol": "SASL"}, ("kafka/securityProtocol", "SASL_SSL")),
        ({"kafka.securityProtocol": "SASL_SSL"}, ("sasl.existingSecret", "is not set")),
        ({"kafka.securityProtocol": "SASL_SSL", "kafka.sasl.existingSecret": "kafka"}, ("kafka.sasl.username or usernameKey",)),
        ({"kafka.sasl.existingSecret": "kafka"}, ("no password would be used",)),
        ({"kafka.tls.caSecret": "ca"}, ("kafka.tls is set",)),
        ({"kafka.sasl.password": "hunter2"}, ("kafka/sasl", "password")),
        ({"influxdb.token": "hunter2"}, ("influxdb", "token")),
        ({"apps.influx-sink.env.GRIDPULSE_INFLUX_TOKEN": "hunter2"}, ("apps/influx-sink/env", "GRIDPULSE_INFLUX_TOKEN")),
        ({"apps.ingest.env.GRIDPULSE_MAX_AHED": 60}, ("apps/ingest/env", "GRIDPULSE_MAX_AHED")),
        ({"common.env.GRIDPULSE_MAX_AHEAD": 60}, ("common/env", "GRIDPULSE_MAX_AHEAD")),
        ({"common.extraEnv": [{"name": "GRIDPULSE_INFLUX_TOKEN", "value": "x"}]}, ("common/extraEnv/0/name",)),
        ({"apps.ingest.replicas": 5}, ("apps.ingest.replicas is 5", "kafka.partitions 4")),
        ({"apps.ingest.replicas": 0}, ("apps/ingest/replicas",)),
        (
            {"apps.detector.autoscaling.enabled": True, "apps.detector.autoscaling.maxReplicas": 5},
            ("apps.detector.autoscaling.maxReplicas is 5", "kafka.partitions 4"),
        ),
        (
            {"common.autoscaling.enabled": True, "common.autoscaling.minReplicas": 5},
            ("autoscaling.minReplicas is 5",),
        ),
        (
            {"apps.detector.rules": "x", "apps.detector.rulesConfigMap": "y"},
            ("rules and apps.detector.rulesConfigMap are both set",),
        ),
        ({"apps.detector.rulesConfigMap": "y", "apps.detector.onRulesChange": "roll"}, ("onRulesChange is roll",)),
        ({"apps.detector.onRulesChange": "restart"}, ("apps/detector/onRulesChange",)),
        ({"apps.ingest.rules": "x"}, ("apps/ingest", "rules")),
        ({"apps.alerter.webhook.existingSecret": "x"}, ("without apps.alerter.webhook.url",)),
        ({"monitoring.scrape": "podMonitor"}, ("monitoring/scrape", "PodMonitor")),
        ({"archive.verify.schedule": "daily"}, ("archive/verify/schedule",)),
        ({"apps.detector.persistence.size": "10 GB"}, ("apps/detector/persistence/size",)),
        ({"autoscalling.enabled": True}, ("autoscalling",)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_mistake_is_refused_by_its_name(helm: Helm, changes: dict[str, Any], words: tuple[str, ...]) -> None:
    told = helm.refused(*sets(SMALLEST | changes))
    assert all(word in told for word in words), told
    assert "hunter2" not in told
