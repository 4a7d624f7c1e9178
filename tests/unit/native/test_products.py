"""What each server is told."""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gridpulse_native.ports import HIGHEST, LOWEST, choose, is_free
from gridpulse_native.screen import exports, server_table
from gridpulse_native.servers.apicurio import Apicurio
from gridpulse_native.servers.influx import Influx
from gridpulse_native.servers.kafka import Kafka
from gridpulse_native.servers.object_store import Minio, SeaweedFS
from gridpulse_native.servers.s3_client import S3Client

ENVIRON = {"PATH": os.environ.get("PATH", "")}


def properties(kafka: Kafka) -> dict[str, str]:
    return dict(line.split("=", 1) for line in kafka.server_properties().splitlines())


def test_kafka_is_told_what_the_pipeline_needs(tmp_path: Path) -> None:
    settings = properties(Kafka(tmp_path, {"broker": 19092, "controller": 19093}, ENVIRON))

    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093"
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:19092"
    assert settings["controller.quorum.voters"] == "1@127.0.0.1:19093"
    assert settings["log.dirs"] == str(tmp_path / "logs")
    assert settings["auto.create.topics.enable"] == "false"
    assert settings["message.max.bytes"] == str(8 * 1024 * 1024)
    assert settings["group.initial.rebalance.delay.ms"] == "0"
    for topic in ("offsets.topic", "transaction.state.log"):
        assert settings[f"{topic}.replication.factor"] == "1"


def test_kafkas_storage_is_formatted_once(tmp_path: Path) -> None:
    (tmp_path / "java").write_text("#!/bin/sh\n")
    (tmp_path / "java").chmod(0o755)
    kafka = Kafka(tmp_path / "data", {"broker": 1, "controller": 2}, {"PATH": str(tmp_path)})

    (format_storage,) = kafka.prepare(Path("kafka"))
    assert "format" in format_storage.words
    (tmp_path / "data" / "logs").mkdir()
    (tmp_path / "data" / "logs" / "meta.properties").touch()
    assert kafka.prepare(Path("kafka")) == ()


def test_kafka_heeds_kafka_opts_as_its_own_scripts_do(tmp_path: Path) -> None:
    (tmp_path / "java").write_text("#!/bin/sh\n")
    (tmp_path / "java").chmod(0o755)
    environ = {"PATH": str(tmp_path), "KAFKA_OPTS": "-XX:TieredStopAtLevel=1 -Dname='a b'"}
    words = Kafka(tmp_path / "data", {"broker": 1, "controller": 2}, environ).command(Path("kafka")).words
    assert {"-XX:TieredStopAtLevel=1", "-Dname=a b"} <= set(words[: words.index("-cp")])


@pytest.mark.parametrize("kind", [Kafka, Apicurio, Minio, SeaweedFS, Influx])
def test_every_server_listens_on_loopback_only(kind: type[Kafka], tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "registry-runner.jar").touch()
    (tmp_path / "java").write_text("#!/bin/sh\n")
    (tmp_path / "java").chmod(0o755)
    ports = {name: 20000 + number for number, name in enumerate(kind.port_names)}
    product = kind(tmp_path / "data", ports, {"PATH": str(tmp_path)})
    product.prepare(tmp_path)
    command = product.command(tmp_path)

    told = " ".join([*command.words, *command.environment.values()])
    told += "".join(file.read_text() for file in (tmp_path / "data").glob("*.properties"))
    assert "127.0.0.1" in told
    assert "0.0.0.0" not in told  # noqa: S104
    assert all(str(port) in told for port in ports.values())
    assert all(variable.startswith("GRIDPULSE_") for variable in product.variables)


def test_nothing_is_reported_to_anyone(tmp_path: Path) -> None:
    weed_ports = {name: 20000 + number for number, name in enumerate(SeaweedFS.port_names)}

    assert "-master.telemetry=false" in SeaweedFS(tmp_path, weed_ports, {}).command(tmp_path).words
    assert "--reporting-disabled" in Influx(tmp_path, {"http": 1}, {}).command(tmp_path).words
    assert Minio(tmp_path, {"s3": 1}, {}).command(tmp_path).environment["MINIO_UPDATE"] == "off"


def test_seaweedfs_knows_only_our_credentials(tmp_path: Path) -> None:
    weed = SeaweedFS(tmp_path, dict.fromkeys(SeaweedFS.port_names, 1), {})
    weed.prepare(tmp_path)

    (identity,) = json.loads((tmp_path / "identities.json").read_text())["identities"]
    assert identity["credentials"][0]["accessKey"] == weed.variables["GRIDPULSE_S3_ACCESS_KEY"]


def test_a_signature_is_amazons() -> None:
    """Computed with botocore for the same request."""
    client = S3Client("127.0.0.1:9000", "gridpulse", "gridpulse-local")
    headers = client.signed_headers("PUT", "/gridpulse/key", b"ok", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))

    assert headers["x-amz-date"] == "20260102T030405Z"
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=gridpulse/20260102/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
        "Signature=c468e67b9b54daad699714f14821859b2595ddf0a929bbdeb4bcb89237773fa8"
    )


def test_ports_are_kept_where_they_are_free_and_below_the_outgoing_ones() -> None:
    first = choose(("broker", "controller"), {})
    assert all(LOWEST <= port <= HIGHEST for port in first.values())
    assert choose(("broker", "controller"), first) == first

    with socket.socket() as other:
        other.bind(("127.0.0.1", first["broker"]))
        other.listen()
        assert not is_free(first["broker"])
        assert first["broker"] not in choose(("broker", "controller"), first).values()


def test_what_is_printed_can_be_read_by_people_and_shells() -> None:
    table = server_table([("kafka", "Kafka", "up", "127.0.0.1:19092", "cache")])

    assert table.splitlines()[1] == "kafka   Kafka    up     127.0.0.1:19092  cache"
    assert exports({"GRIDPULSE_S3_SECRET_KEY": "a b"}) == "export GRIDPULSE_S3_SECRET_KEY='a b'"
