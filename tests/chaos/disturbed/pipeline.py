"""All of GridPulse on servers of its own: apps, load, proxies before the destinations, a webhook receiver."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from disturbed.apps import APPS, Supervisor
from disturbed.proxy import Proxy
from gridpulse_demo.receiver import Receiver
from gridpulse_native import Stack
from gridpulse_native.process import Process
from gridpulse_schemas.topics import TOPICS

__all__ = ["SESSION", "Pipeline"]

DISK_MB = 1024
PATIENCE = 180.0
SESSION = 20
"""Seconds until Kafka gives up a silent replica: less than the default, so that a pause can outlast it."""


class Pipeline:
    """`rate` meters, each read once a second, with a new fault every second. `variables`: more GRIDPULSE_* of the apps."""

    def __init__(self, folder: Path, *, rate: int, seed: int, variables: dict[str, str] | None = None) -> None:
        self.folder, self.rate, self.seed, self.variables = folder, rate, seed, variables or {}
        self.stack = Stack(folder / "servers", say=lambda _: None)
        self.proxies: dict[str, Proxy] = {}
        self.apps: Supervisor
        self.receiver: Receiver
        self.load: Process
        self.has_small_disk = False

    def __enter__(self) -> Self:
        self.stack.start()
        self.environment = self.stack.environment()
        secret = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
        self.receiver = Receiver(secret, self.folder / "alerts.jsonl")
        self.proxies = {
            "influx-sink": self._proxy(self.environment["GRIDPULSE_INFLUX_URL"]),
            "archiver": self._proxy(self.environment["GRIDPULSE_S3_ENDPOINT"]),
            "alerter": self._proxy(self.receiver.url),
        }
        addresses = {
            "GRIDPULSE_INFLUX_URL": f"http://127.0.0.1:{self.proxies['influx-sink'].port}",
            "GRIDPULSE_S3_ENDPOINT": f"http://127.0.0.1:{self.proxies['archiver'].port}",
            "GRIDPULSE_WEBHOOK_URL": f"http://127.0.0.1:{self.proxies['alerter'].port}/alerts",
            "GRIDPULSE_WEBHOOK_SECRET": secret,
            "GRIDPULSE_WEBHOOK_ALLOW_PRIVATE": "true",
            "GRIDPULSE_ARCHIVE_INTERVAL": "2",
            "GRIDPULSE_SESSION_TIMEOUT": str(SESSION),
        }
        self.has_small_disk = self._mount_small_disk()
        self.apps = Supervisor({**self.environment, **addresses, **self.variables}, self.folder)
        for app in APPS:
            self.apps.add(app)
        self.load = self._start_load()
        self._wait_for_outputs()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.load.kill()
        self.apps.close()
        for proxy in self.proxies.values():
            proxy.close()
        self.receiver.close()
        self.stack.stop()
        if self.has_small_disk:
            subprocess.run(["umount", "-l", str(self._state)], check=False)

    @property
    def bootstrap(self) -> str:
        """Address of Kafka."""
        return self.environment["GRIDPULSE_KAFKA_BOOTSTRAP"]

    def start_servers_again(self) -> None:
        """Start every server that is down."""
        with ThreadPoolExecutor() as pool:
            for future in [pool.submit(server.start) for server in self.stack.servers.values()]:
                future.result()

    def end_load(self) -> None:
        """Let the generator end, with all it sent delivered."""
        self.load.stop(60)
        assert self.load.status == 0, f"the generator ended with {self.load.status}:\n{self.load.last_lines()}"

    def settle(self) -> None:
        """End the load, let everything arrive, stop all apps in order of the flow."""
        if self.load.alive:
            self.end_load()
        for app in APPS:
            self.wait_until_done(app)
            self.apps.stop_app(app)

    @property
    def _state(self) -> Path:
        return self.folder / "detector-0" / "state"

    def _mount_small_disk(self) -> bool:
        """Put the detector's state on a small disk of its own, where this user may mount one."""
        self._state.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "gridpulse-chaos", str(self._state)]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except OSError:
            return False

    def _proxy(self, url: str) -> Proxy:
        address = urlsplit(url)
        assert address.hostname
        assert address.port
        return Proxy((address.hostname, address.port))

    def _start_load(self) -> Process:
        options = {"meters": self.rate, "seed": self.seed, "faults-per-hour": 3600, "warmup": 30}
        command = [str(Path(sys.executable).parent / "gridpulse-generator"), "run", "--transformer-meters", "--json"]
        command += [word for name, value in options.items() for word in (f"--{name}", str(value))]
        return Process(command, log=self.folder / "load", directory=self.folder, environment={**os.environ, **self.environment})

    def _wait_for_outputs(self) -> None:
        for app in APPS:
            replica = self.apps.of(app)
            self._wait(lambda replica=replica: replica.output[1] > 0, f"the first output of {app}", replica.process.last_lines)

    def condition(self) -> str:
        """What the generator, each app and each consumer group do, line by line: to understand a failure by."""
        lines = [f"generator: {'runs' if self.load.alive else self.load.status}, {self.load.last_lines()}"]
        replicas = (self.apps.of(app) for app in APPS)
        lines += [f"{each.name}: ended with {each.endings}, (starts, output) {each.output}" for each in replicas]
        admin = AdminClient({"bootstrap.servers": self.environment["GRIDPULSE_KAFKA_BOOTSTRAP"], "log_level": 0})
        try:
            groups = [group.group_id for group in admin.list_consumer_groups(request_timeout=10).result().valid]
            for asked in admin.describe_consumer_groups(groups, request_timeout=10).values():
                group = asked.result()
                members = {each.group_instance_id: len(each.assignment.topic_partitions) for each in group.members}
                lines.append(f"{group.group_id}: {group.state}, partitions by member {members}")
        except KafkaException as error:
            lines.append(f"Kafka: {error}")
        return "\n".join(lines)

    def behind(self, app: str) -> dict[str, int]:
        """Messages that the groups of `app` have not committed, by topic and partition; where no commit is known, that."""
        connection = {"bootstrap.servers": self.environment["GRIDPULSE_KAFKA_BOOTSTRAP"], "log_level": 0}
        admin = AdminClient(connection)
        groups = [group.group_id for group in admin.list_consumer_groups().result().valid]
        mine = [name for name in groups if name == f"gridpulse-{app}" or name.startswith(f"gridpulse-{app}-")]
        assert mine, f"{app} has no consumer group"
        consumer = Consumer({**connection, "group.id": "chaos-watermarks"})
        behind, known = {}, False
        for group in mine:
            request = [ConsumerGroupTopicPartitions(group)]
            for place in admin.list_consumer_group_offsets(request)[group].result().topic_partitions:
                if place.topic in TOPICS:
                    known = True
                    _, end = consumer.get_watermark_offsets(TopicPartition(place.topic, place.partition), timeout=10)
                    if place.offset < end:
                        behind[f"{group} {place.topic}/{place.partition}"] = end - place.offset
        consumer.close()
        return behind if known else {f"no commit of {mine} is known": 1}

    def wait_until_done(self, app: str) -> None:
        """Raises AssertionError where it gets no nearer to its end for PATIENCE seconds."""
        least, end = sys.maxsize, time.monotonic() + PATIENCE
        while behind := self.behind(app):
            if sum(behind.values()) < least:
                least, end = sum(behind.values()), time.monotonic() + PATIENCE
            assert time.monotonic() < end, f"{app} does not come to its end: {behind}"
            time.sleep(0.2)

    def _wait(self, condition: Callable[[], bool], what: str, about: Callable[[], str]) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if condition():
                return
            time.sleep(0.1)
        raise AssertionError(f"{what}: not within {PATIENCE:.0f} s: {about()}")
