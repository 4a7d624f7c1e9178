"""compose.yaml with demo.yaml, as they are, brought up by podman-compose.

On a network of their own, found by name, with the secrets that the stack makes. Only what lies behind the images' names is
stood in for (standin.py), and ports are free ones.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from engine import APPS, COMPOSE, Engine, say, variables

from gridpulse_native.ports import choose
from gridpulse_native.provision.provisioner import Provisioner
from gridpulse_native.provision.recipes import APICURIO, INFLUXD, KAFKA, MINIO
from gridpulse_native.settings import NativeSettings

pytestmark = [pytest.mark.containers, pytest.mark.servers, pytest.mark.timeout(3600)]
Make = Callable[..., Any]
SERVERS = {"kafka": "KAFKA_IMAGE", "apicurio": "APICURIO_IMAGE", "influxdb": "INFLUXDB_IMAGE", "s3": "MINIO_IMAGE"}
ENTRY = {"kafka": "kafka", "apicurio": "apicurio", "influxdb": "influxdb", "s3": "silo"}
STANDIN = Path(__file__).with_name("standin.py")
DETECTORS = 4
LAYERS = ("compose.yaml", "demo.yaml")


def java_mounts() -> list[str]:
    """The Java of this machine as /opt/java, and the places its links point to."""
    java = shutil.which("java")
    assert java, "java is missing"
    home = Path(java).resolve().parent.parent
    outside = {os.path.realpath(link) for link in home.rglob("*") if link.is_symlink()}
    places = {str(Path(target).parent) for target in outside if not target.startswith(f"{home}/") and Path(target).exists()}
    tops = {place for place in places if not any(place.startswith(f"{other}/") for other in places)}
    return [f"{home}:/opt/java:ro", *(f"{place}:{place}:ro" for place in sorted(tops))]


def overrides() -> dict[str, Any]:
    """A layer that puts the real servers into the containers that stand in for them."""
    provisioner = Provisioner(NativeSettings.from_environment(), say)
    java = java_mounts()
    volumes = {
        "kafka": [*java, f"{provisioner.build(KAFKA)}/libs:/opt/kafka/libs:ro"],
        "apicurio": [*java, f"{provisioner.build(APICURIO)}:/opt/apicurio:ro"],
        "influxdb": [f"{provisioner.build(INFLUXD)}:/opt/influxdb:ro"],
        "s3": [f"{provisioner.build(MINIO)}:/opt/minio:ro"],
    }
    return {"services": {name: {"volumes": given} for name, given in volumes.items()}}


@dataclass
class Stack:
    """One project of podman-compose."""

    engine: Engine
    name: str
    layers: list[str]
    environment: dict[str, str]

    def compose(self, *words: str, timeout: float = 600.0) -> str:
        files = [word for layer in self.layers for word in ("-f", layer)]
        command = Path(sys.executable).parent / "podman-compose"
        options = {"cwd": str(COMPOSE)}
        own = [f"{name}={value}" for name, value in self.environment.items()]
        return self.engine.run("env", *own, str(command), "-p", self.name, *files, *words, timeout=timeout, **options).stdout

    def containers(self, service: str) -> list[str]:
        filters = (f"label=io.podman.compose.project={self.name}", f"label=com.docker.compose.service={service}")
        words = [word for text in filters for word in ("--filter", text)]
        return self.engine.podman("ps", "--all", *words, "--format", "{{.Names}}").split()

    def healthy(self, service: str) -> bool:
        """Whether each container of the service passes the check of the compose file; podman has no timer without systemd."""
        names = self.containers(service)
        for name in names:
            state = self.engine.podman("inspect", "--format", "{{.State.Status}}", name)
            assert state != "exited", f"{name} ended:\n{self.logs(name)[-4000:]}"
        return bool(names) and all(
            self.engine.run("podman", "healthcheck", "run", name, check=False).returncode == 0 for name in names
        )

    def logs(self, name: str) -> str:
        done = self.engine.run("podman", "logs", name, check=False)
        return done.stdout + done.stderr

    def inside(self, service: str, code: str) -> str:
        """What Python prints in the first container of the service."""
        return self.engine.podman("exec", self.containers(service)[0], "python3", "-c", code)


@pytest.fixture(scope="module")
def stack(engine: Engine, image: Make, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    own = variables()
    for app in (*APPS, "generator"):
        image(app)
    for service, name in SERVERS.items():
        folder = tmp_path_factory.mktemp(service)
        shutil.copy(STANDIN, folder / "standin.py")
        script = """'#!/bin/sh\\nexec python3 /standin.py '$name' "$@"\\n'"""
        tools = f"RUN for name in influx silo; do printf {script} >/usr/local/bin/$name && chmod 755 /usr/local/bin/$name; done"
        lines = [f"FROM {engine.base()}", "COPY standin.py /standin.py", tools]
        lines.append(f'ENTRYPOINT ["python3", "-u", "/standin.py", "{ENTRY[service]}"]')
        (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
        words = ("--isolation", "chroot", "--format", "docker", "--pull-never", "-t", own[name], str(folder))
        engine.run("buildah", "bud", *words, timeout=300)
    layer = tmp_path_factory.mktemp("layer") / "standins.yaml"
    layer.write_text(yaml.safe_dump(overrides()))
    ports = {name: str(port) for name, port in choose([name for name in own if name.endswith("_PORT")], {}).items()}
    running = Stack(
        engine,
        f"test{uuid.uuid4().hex[:8]}",
        [*LAYERS, str(layer)],
        {**ports, "GRIDPULSE_ARCHIVE_INTERVAL": "5", "DEMO_METERS": "2000"},
    )
    try:
        running.compose("up", "--detach", "--no-build", "--scale", f"detector={DETECTORS}", timeout=1200)
        yield running
    finally:
        for service in (
            "generator",
            *reversed(APPS),
            "receiver",
            "s3",
            "influxdb",
            "apicurio",
            "kafka",
            "secrets",
        ):  # who needs, first
            for name in running.containers(service):
                (tmp_path_factory.getbasetemp() / f"{name}.log").write_text(running.logs(name))
                engine.podman("rm", "--force", "--volumes", "--time", "2", name, check=False)  # podman-compose knows no replicas
        running.compose("down", "--volumes", timeout=600)


def test_the_stack_comes_up_and_finds_faults(stack: Stack, until: Make) -> None:
    for service in (*SERVERS, *APPS, "receiver"):
        until(lambda service=service: stack.healthy(service), f"{service} healthy", 300)

    receiver = stack.containers("receiver")[0]
    alerts = until(lambda: [line for line in stack.logs(receiver).splitlines() if line.startswith("{")], "an alert", 240)
    assert json.loads(alerts[0])["type"]

    count = """
import json, urllib.request
flux = 'from(bucket:"gridpulse") |> range(start:0) |> filter(fn:(r) => r._measurement=="anomalies") |> limit(n:1)'
token = open('/run/secrets/influxdb/token').read()
headers = {'Authorization': 'Token ' + token, 'Content-Type': 'application/vnd.flux'}
request = urllib.request.Request('http://influxdb:8086/api/v2/query?org=gridpulse', flux.encode(), headers)
print(urllib.request.urlopen(request).read().decode().count('anomalies'))
"""
    until(lambda: int(stack.inside("influx-sink", count)) > 0, "an anomaly in InfluxDB", 120)
    stored = """
from minio import Minio
key, secret = (open(f'/run/secrets/s3/{name}').read() for name in ('access_key', 'secret_key'))
client = Minio('s3:9000', key, secret, secure=False)
print(sum(entry.object_name.endswith('.parquet') for entry in client.list_objects('gridpulse', recursive=True)))
"""
    until(lambda: int(stack.inside("archiver", stored)) > 0, "a Parquet object in the store", 120)


def test_each_detector_has_partitions_and_a_state_of_its_own(stack: Stack, until: Make) -> None:
    names = stack.containers("detector")
    assert len(names) == DETECTORS
    mounts = {
        mount["Name"]
        for name in names
        for mount in json.loads(stack.engine.podman("inspect", name))[0]["Mounts"]
        if mount["Destination"] == "/state"
    }
    assert len(mounts) == DETECTORS

    def working(name: str) -> bool:
        code = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/metrics').read().decode())"
        shown = stack.engine.podman("exec", name, "python3", "-c", code)
        read = [
            line
            for line in shown.splitlines()
            if line.startswith('gridpulse_detector_messages_total{topic="meter.readings.valid"')
        ]
        return bool(read) and float(read[0].rsplit(" ", 1)[1]) > 0

    for name in names:
        until(lambda name=name: working(name), f"readings at {name}", 180)


def test_apps_end_with_code_0_and_go_on(stack: Stack, until: Make) -> None:
    """`compose stop`, and `start`: the same containers, with their state."""
    for app in ("generator", *APPS):
        names = stack.containers(app)  # podman-compose would stop the first only
        stack.engine.podman("stop", "--time", "60", *names, timeout=400)
    for app in APPS:
        for name in stack.containers(app):
            code = stack.engine.podman("inspect", "--format", "{{.State.ExitCode}}", name)
            assert code == "0", f"{name}: {stack.logs(name)[-3000:]}"
            assert "work committed" in stack.logs(name), name
    for app in APPS:
        stack.engine.podman("start", *stack.containers(app), timeout=120)
    for app in APPS:
        until(lambda app=app: stack.healthy(app), f"{app} healthy again", 240)


def test_no_secret_is_in_what_the_engine_knows(stack: Stack) -> None:
    made = stack.inside("archiver", "print(open('/run/secrets/s3/secret_key').read())")
    for service in (*SERVERS, *APPS, "receiver"):
        for name in stack.containers(service):
            assert made not in stack.engine.podman("inspect", name), name
            assert made not in stack.logs(name), name
