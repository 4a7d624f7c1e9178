"""Environment, PATH, cache, build: in that order, and clear about what is missing."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest

from gridpulse_native.errors import BuildFailedError, CancelledError, MissingToolError, ServerFailedError
from gridpulse_native.installation import Installation
from gridpulse_native.provision.kubernetes import CHART_TESTS, CLUSTER_TESTS, STAGING, _kubernetes
from gridpulse_native.provision.provisioner import Provisioner
from gridpulse_native.provision.recipes import INFLUX_PROGRAM, INFLUXD, KAFKA, RECIPES, Recipe
from gridpulse_native.provision.workshop import Workshop
from gridpulse_native.servers.given import GivenServer
from gridpulse_native.servers.influx import influxd_on_path
from gridpulse_native.servers.object_store import minio_on_path
from gridpulse_native.settings import NativeSettings
from gridpulse_native.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def executable(directory: Path, name: str, script: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def make_binary(shop: Workshop, _tools: Mapping[str, str]) -> None:
    (shop.directory / "thing").write_text("built")


THING = Recipe(name="thing", version="1", tools=(), otherwise="", make=make_binary)


@pytest.fixture
def provisioner(tmp_path: Path) -> Provisioner:
    environ = {"XDG_CACHE_HOME": str(tmp_path), "PATH": str(tmp_path / "bin")}
    return Provisioner(NativeSettings.from_environment(environ), lambda _line: None)


def test_path_comes_before_the_cache_and_the_cache_before_a_build(provisioner: Provisioner, tmp_path: Path) -> None:
    assert provisioner.ready(THING, lambda: None) is None

    built = provisioner.provide(THING, lambda: None)
    assert built == Installation(tmp_path / "gridpulse" / "thing-1", "built")
    assert provisioner.provide(THING, lambda: None) == Installation(built.path, "cache")
    assert provisioner.provide(THING, lambda: tmp_path) == Installation(tmp_path, "path")


def test_a_missing_toolchain_is_named_with_what_to_do(provisioner: Provisioner) -> None:
    with pytest.raises(MissingToolError) as kafka:
        provisioner.provide(KAFKA, lambda: None)
    with pytest.raises(MissingToolError) as influx:
        provisioner.provide(INFLUXD, lambda: None)

    for words in ("java and mvn", "install Maven", "GRIDPULSE_KAFKA_BOOTSTRAP"):
        assert words in str(kafka.value)
    for words in ("go and cargo and cc", "install Rust", "GRIDPULSE_INFLUX_URL"):
        assert words in str(influx.value)


def test_nothing_is_built_once_the_stack_is_stopped(provisioner: Provisioner) -> None:
    provisioner.cancel.set()

    with pytest.raises(CancelledError):
        provisioner.build(THING)


def test_only_influxd_2_is_taken_from_path(tmp_path: Path) -> None:
    executable(tmp_path / "one", "influxd", "echo InfluxDB v1.8.10")
    executable(tmp_path / "two", "influxd", "echo InfluxDB v2.7.12")

    assert influxd_on_path(str(tmp_path / "one")) is None
    assert influxd_on_path(str(tmp_path / "two")) == tmp_path / "two"
    assert minio_on_path(str(tmp_path)) is None


def workshop(tmp_path: Path, cancel: threading.Event) -> Workshop:
    return Workshop(
        label="thing-1",
        directory=tmp_path,
        log=tmp_path / "log",
        say=lambda _line: None,
        cancel=cancel,
        environment={},
    )


def test_a_failing_command_is_retried_and_then_shows_its_last_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridpulse_native.provision.workshop.RETRY_SECONDS", 0.01)
    shop = workshop(tmp_path, threading.Event())

    with pytest.raises(BuildFailedError, match="no route to registry") as failure:
        shop.run("downloading", ["/bin/sh", "-c", "echo once >> tries; echo no route to registry; exit 3"], attempts=3)

    assert "exit 3" in str(failure.value)
    assert len((tmp_path / "tries").read_text().split()) == 3


def test_a_cancelled_command_takes_its_children_with_it(tmp_path: Path) -> None:
    cancel = threading.Event()
    timer = threading.Timer(1.0, cancel.set)
    timer.start()
    script = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(2); open(\"survived\", \"w\")'])"
    )

    with pytest.raises(CancelledError):
        workshop(tmp_path, cancel).run("compiling", [sys.executable, "-c", script])

    threading.Event().wait(2.5)
    assert not (tmp_path / "survived").exists()


def test_influxdbs_own_replacement_is_in_our_module() -> None:
    assert "require github.com/influxdata/influxdb/v2 v2.7.12" in INFLUX_PROGRAM.go_mod()
    assert "replace github.com/nats-io/nats-streaming-server v0.11.2 => " in INFLUX_PROGRAM.go_mod()


def test_kubernetes_takes_its_staging_modules_of_the_same_release() -> None:
    module = _kubernetes("kube-scheduler").go_mod()
    assert "require k8s.io/kubernetes v1.37.2" in module
    assert [f"replace k8s.io/{staged} => k8s.io/{staged} v0.37.2" in module for staged in STAGING] == [True] * 33


def test_what_is_built_for_the_cluster_is_built_only_when_asked_for() -> None:
    assert not set(CLUSTER_TESTS) & {*RECIPES, *CHART_TESTS}
    places = [(recipe.name, recipe.version) for recipe in (*RECIPES.values(), *CHART_TESTS.values(), *CLUSTER_TESTS.values())]
    assert len(places) == len(set(places))


def test_a_given_server_is_used_as_the_environment_says() -> None:
    given = {"GRIDPULSE_KAFKA_BOOTSTRAP": "a.example:9092,b.example:9092", "GRIDPULSE_KAFKA_SASL_USERNAME": "me"}
    server = GivenServer("kafka", given)

    assert server.variables == given
    assert (server.via, server.ours, server.expected) == ("environment", False, True)


def test_half_a_description_of_a_server_says_what_is_missing() -> None:
    with pytest.raises(ServerFailedError, match="GRIDPULSE_INFLUX_ORG, GRIDPULSE_INFLUX_BUCKET"):
        GivenServer("influx", {"GRIDPULSE_INFLUX_URL": "http://x:1", "GRIDPULSE_INFLUX_TOKEN_FILE": "/token"})
    with pytest.raises(ServerFailedError, match="no host and port"):
        GivenServer("kafka", {"GRIDPULSE_KAFKA_BOOTSTRAP": "nowhere"})


def test_without_java_the_stack_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": str(tmp_path / "bin")}
    stack = Stack(tmp_path / "data", {"kafka"}, say=lambda _line: None, environ=environ)

    with pytest.raises(MissingToolError, match="java"):
        stack.start()

    assert stack.environment() == {}


def test_without_go_influxdb_is_left_out_and_said(tmp_path: Path) -> None:
    said: list[str] = []
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": str(tmp_path / "bin")}

    for wait in (True, False):
        with Stack(tmp_path / "data", {"influx"}, wait_for_builds=wait, say=said.append, environ=environ) as stack:
            assert not stack.influx.up
            assert stack.environment() == {}
    assert sum("GRIDPULSE_INFLUX_URL" in line for line in said) == 2


def test_an_unknown_server_is_refused() -> None:
    with pytest.raises(ValueError, match="grafana"):
        Stack(servers={"grafana"})
