"""Apache Kafka: one node that is broker and controller, KRaft."""

from __future__ import annotations

import base64
import shlex
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from gridpulse_native.ports import LOOPBACK
from gridpulse_native.provision.toolchain import require
from gridpulse_native.servers.product import Command, Product, shared_classes

__all__ = ["Kafka", "libraries_on_path"]

# G1 by name: a JVM that sees two cores and a small heap chooses the serial collector, whose pauses show as
# latency.
JVM_OPTIONS = (
    "-Xms256m", "-Xmx512m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
)  # fmt: skip

LARGEST_MESSAGE = 8 * 1024 * 1024  # a batch of a thousand meters with every column, several times over

LOG4J = """\
status=warn
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %m (%c)%n
rootLogger.level=info
rootLogger.appenderRef.out.ref=out
"""


def libraries_on_path(environ_path: str | None) -> Path | None:
    """Return the directory, with `libs/` in it, of a Kafka whose start script is on PATH."""
    for script in ("kafka-server-start.sh", "kafka-server-start"):
        found = shutil.which(script, path=environ_path)
        if found is not None:
            home = Path(found).resolve().parent.parent
            if any((home / "libs").glob("kafka_2.13-4*.jar")):
                return home
    return None


@dataclass(frozen=True)
class Kafka(Product):
    """The broker on `ports["broker"]`, its controller on `ports["controller"]`."""

    name: ClassVar[str] = "kafka"
    title: ClassVar[str] = "Kafka"
    folder: ClassVar[str] = "kafka"
    port_names: ClassVar[tuple[str, ...]] = ("broker", "controller")

    @property
    def address(self) -> str:
        """Bootstrap server, without a scheme."""
        return self.host_port

    @property
    def variables(self) -> dict[str, str]:
        """Plaintext: loopback only."""
        return {"GRIDPULSE_KAFKA_BOOTSTRAP": self.address}

    def server_properties(self) -> str:
        """Render the broker's configuration."""
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{LOOPBACK}:{self.ports['controller']}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.host_port},CONTROLLER://{LOOPBACK}:{self.ports['controller']}",
            "advertised.listeners": f"PLAINTEXT://{self.host_port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self.directory / "logs",
            "auto.create.topics.enable": "false",  # topics come from the manifest, with their settings
            "num.partitions": 4,
            "message.max.bytes": LARGEST_MESSAGE,
            "replica.fetch.max.bytes": LARGEST_MESSAGE,
            "default.replication.factor": 1,
            "min.insync.replicas": 1,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,  # 50 by default: 50 logs to open at every start
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "share.coordinator.state.topic.num.partitions": 4,
            "group.initial.rebalance.delay.ms": 0,  # 3 s by default: no others are coming
            # After a kill, the controller lets the broker back in when its old session is over: 9 s by default.
            "broker.session.timeout.ms": 2000,
            "broker.heartbeat.interval.ms": 500,
            "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,  # 128 MiB by default, of a 512 MiB heap
            "num.recovery.threads.per.data.dir": 2,
        }
        return "".join(f"{key}={value}\n" for key, value in settings.items())

    def prepare(self, installation: Path) -> tuple[Command, ...]:
        """Write the configuration; format the storage if it is new."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(self.server_properties())
        self._log4j.write_text(LOG4J)
        if (self.directory / "logs" / "meta.properties").exists():
            return ()
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # A format that was interrupted is done again: nothing was stored yet.
        shutil.rmtree(self.directory / "logs", ignore_errors=True)
        options = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
        tool = (
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={cluster}",  # one argument: an id may begin with a dash
            "--config",
            str(self._properties),
        )
        return (self._java(installation, options, tool),)

    def command(self, installation: Path) -> Command:
        """Return the broker's Java command. Kafka's shell scripts would hide its pid; KAFKA_OPTS counts as there."""
        options = (*JVM_OPTIONS, *shlex.split(self.environ.get("KAFKA_OPTS", "")))
        return self._java(installation, options, ("kafka.Kafka", str(self._properties)))

    def answers(self) -> bool:
        """Whether the broker is in the metadata it serves, that is, registered with its controller."""
        client = AdminClient({"bootstrap.servers": self.address, "log_level": 0, "socket.timeout.ms": 2000})
        try:
            return bool(client.list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    @property
    def _properties(self) -> Path:
        return self.directory / "server.properties"

    @property
    def _log4j(self) -> Path:
        return self.directory / "log4j2.properties"

    def _java(self, installation: Path, options: tuple[str, ...], main: tuple[str, ...]) -> Command:
        java = require("Running Kafka", ["java"], self.environ, "Or set GRIDPULSE_KAFKA_BOOTSTRAP.")["java"]
        log4j = f"-Dlog4j2.configurationFile={self._log4j}"
        return Command((java, *options, *shared_classes(installation), log4j, "-cp", "libs/*", *main), directory=installation)
