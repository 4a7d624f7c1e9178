"""Every image, built by compose/Dockerfile over a stand-in for its base, and run as a container against the native servers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient
from engine import APPS, Engine

from gridpulse_native import Stack

pytestmark = [pytest.mark.containers, pytest.mark.servers, pytest.mark.timeout(3600)]
Make = Callable[..., Any]
PROGRAMS = (*APPS, "redrive", "generator")
CLOSURE = Path(__file__).resolve().parents[2] / "compose/closure.py"
COMPRESSED_LIMIT = 400e6
READINGS = 20_000
PYTHON = "/opt/gridpulse/bin/python"


def inside(engine: Engine, image: str, code: str) -> str:
    """What `code` prints in a container of `image` that nothing else runs in."""
    return engine.podman(
        "run",
        "--rm",
        "--network",
        "none",
        "--read-only",
        "--tmpfs",
        "/tmp",
        "--entrypoint",
        PYTHON,
        image,
        "-c",
        code,
    )


@pytest.mark.parametrize("app", PROGRAMS)
def test_an_image_holds_its_closure_and_is_not_root(
    app: str, engine: Engine, image: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    own = image(app)
    code = "import importlib.metadata as m; print(*sorted(d.name for d in m.distributions()))"
    packages = {re.sub(r"[-_.]+", "-", name).lower() for name in inside(engine, own, code).split()}
    wanted = subprocess.run([sys.executable, CLOSURE, "packages", f"gridpulse-{app}"], capture_output=True, text=True, check=True)
    locked = {line.split("==")[0] for line in wanted.stdout.splitlines() if "==" in line}
    ours = {name for name in packages if name.startswith("gridpulse-")}
    assert ours == {"gridpulse-schemas", "gridpulse-runtime", f"gridpulse-{app}"}
    assert packages - ours <= locked
    assert locked - packages <= {"colorama"}  # for Windows

    inspected = json.loads(engine.podman("image", "inspect", own))[0]
    config = inspected["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["/opt/app/bin/app"]
    assert inspected["Healthcheck"]["Test"][0] == "CMD"
    assert config["Labels"]["org.opencontainers.image.title"] == f"gridpulse-{app}"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    size = int(engine.podman("image", "inspect", "--format", "{{.Size}}", own))
    base = int(engine.podman("image", "inspect", "--format", "{{.Size}}", engine.base()))
    pulled = engine.compressed(own)
    with capsys.disabled():
        print(
            f"\n{app}: {pulled / 1e6:.0f} MB to pull, {size / 1e6:.0f} MB on disk ({base / 1e6:.0f} MB of it the stand-in base)"
        )
    assert pulled < COMPRESSED_LIMIT


def test_it_starts_with_what_was_compiled_in_the_build(engine: Engine, image: Make, capsys: pytest.CaptureFixture[str]) -> None:
    code = """
import os, pathlib, resource, time
began = time.monotonic()
from gridpulse_detector.main import main
from gridpulse_detector.assets import AssetBook
from gridpulse_detector.detection import Detector
from gridpulse_detector.ruleset import load_rules
Detector(load_rules(None), AssetBook()).warm_up()
used = resource.getrusage(resource.RUSAGE_SELF)
files = [path for path in pathlib.Path('/tmp').rglob('*.nb?')]
print(len(files), sum(not path.is_symlink() for path in files), used.ru_utime + used.ru_stime, time.monotonic() - began)
"""
    files, compiled, cpu, wall = map(float, inside(engine, image("detector"), code).split())
    with capsys.disabled():
        print(f"\ndetector: ready to judge after {cpu:.1f} CPU-seconds, {wall:.1f} s on this machine as busy as it is")
    assert files > 100
    assert compiled == 0, "machine code of the image did not fit, and was made anew"


@pytest.mark.parametrize("app", PROGRAMS)
def test_help_names_the_variables(app: str, engine: Engine, image: Make) -> None:
    shown = engine.podman("run", "--rm", "--read-only", "--network", "none", "--tmpfs", "/tmp", image(app), "--help")
    assert "Usage" in shown


def test_a_wrong_setting_is_one_line_and_code_2(engine: Engine, image: Make) -> None:
    done = engine.run(
        "podman", "run", "--rm", "--read-only", "--network", "none", "--tmpfs", "/tmp",
        "--env", "GRIDPULSE_COMMIT_INTERVAL=soon", image("ingest"), check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "GRIDPULSE_COMMIT_INTERVAL" in done.stderr


def committed(bootstrap: str, group: str, topic: str) -> tuple[int, int]:
    """Sum of the offsets `group` has committed in `topic`, and of the ends of its partitions."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    partitions = [TopicPartition(topic, number) for number in admin.list_topics(topic, timeout=10).topics[topic].partitions]
    asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, partitions)])[group].result()
    done = sum(max(0, place.offset) for place in asked.topic_partitions)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"look-{uuid.uuid4().hex}"})
    ends = sum(consumer.get_watermark_offsets(place, timeout=10)[1] for place in partitions)
    consumer.close()
    return done, ends


def test_sigterm_ends_each_with_its_work_committed(
    engine: Engine, image: Make, contain: Make, stack: Stack, free_port: Make, until: Make
) -> None:
    """Readings through all five as containers; then SIGTERM, and every group stands at the end of what it reads."""
    given = {**stack.environment(), "GRIDPULSE_LOG_FORMAT": "json", "GRIDPULSE_METRICS_HOST": "127.0.0.1"}
    bootstrap = given["GRIDPULSE_KAFKA_BOOTSTRAP"]
    groups = {app: f"containers-{app}-{uuid.uuid4().hex[:6]}" for app in APPS}
    ports = {app: free_port() for app in APPS}
    running = {}
    for app in APPS:
        own = {"GRIDPULSE_METRICS_PORT": str(ports[app]), "GRIDPULSE_CONSUMER_GROUP": groups[app]}
        running[app] = contain(image(app), **{**given, **own, "GRIDPULSE_ARCHIVE_INTERVAL": "5"})

    def ready(app: str) -> bool:
        state = engine.podman("inspect", "--format", "{{.State.Status}}", running[app])
        assert state != "exited", engine.podman("logs", running[app])[-3000:]
        return engine.run("podman", "healthcheck", "run", running[app], check=False).returncode == 0

    for app in APPS:
        until(lambda app=app: ready(app), f"{app} healthy", 180)
    began = time.monotonic()
    sent = engine.run(
        "podman", "run", "--rm", "--network", "host", "--read-only", "--tmpfs", "/tmp",
        "--env", f"GRIDPULSE_KAFKA_BOOTSTRAP={bootstrap}",
        "--env", f"GRIDPULSE_SCHEMA_REGISTRY_URL={given['GRIDPULSE_SCHEMA_REGISTRY_URL']}",
        image("generator"), "run", "--json", "--meters", "500", "--count", str(READINGS),
        "--faults-per-hour", "3600", "--rate", "2000",
        timeout=300,
    ).stdout  # fmt: skip
    assert f'"readings": {READINGS}' in sent or str(READINGS) in sent, sent

    reads = {
        "ingest": ("meter.readings", groups["ingest"]),
        "detector": ("meter.readings.valid", groups["detector"]),
        "archiver": ("meter.readings.valid", groups["archiver"]),
        "influx-sink": ("grid.anomalies", groups["influx-sink"]),
        "alerter": ("grid.anomalies", groups["alerter"]),
    }

    def lag(app: str) -> float:
        answer = httpx.get(f"http://127.0.0.1:{ports[app]}/metrics", timeout=10).text
        name = f"gridpulse_{app.replace('-', '_')}_consumer_lag_messages"
        return sum(float(line.rsplit(" ", 1)[1]) for line in answer.splitlines() if line.startswith(f"{name}{{"))

    for app in ("ingest", "detector", "archiver", "influx-sink", "alerter"):
        until(lambda app=app: lag(app) == 0 and time.monotonic() - began > 2, f"{app} has read everything", 180)
    for app in APPS:  # in the order of the flow: what one still sends, the next still reads
        engine.podman("stop", "--time", "60", running[app], timeout=120)
        code = engine.podman("inspect", "--format", "{{.State.ExitCode}}", running[app])
        assert code == "0", f"{app}: {engine.podman('logs', running[app])[-3000:]}"
        assert "work committed" in engine.run("podman", "logs", running[app]).stderr + engine.podman("logs", running[app]), app
    for app, (topic, group) in reads.items():
        done, ends = committed(bootstrap, group, topic)
        assert done == ends > 0, f"{app}: {done} of {ends} committed in {topic}"
