"""Apicurio Registry, used through its Confluent-compatible API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import httpx

from gridpulse_native.http import HTTP
from gridpulse_native.ports import LOOPBACK
from gridpulse_native.provision.toolchain import require
from gridpulse_native.servers.product import Command, Product, shared_classes

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Apicurio"]

# Nearly all it does is start: the quick compiler and the simplest collector save seconds of that.
JVM_OPTIONS = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


@dataclass(frozen=True)
class Apicurio(Product):
    """The registry with its schemas in an H2 file."""

    name: ClassVar[str] = "registry"
    title: ClassVar[str] = "Apicurio Registry"
    folder: ClassVar[str] = "registry"
    port_names: ClassVar[tuple[str, ...]] = ("http",)
    patience: ClassVar[float] = 120.0

    @property
    def address(self) -> str:
        """The base URL a Confluent client is given."""
        return f"http://{self.host_port}/apis/ccompat/v7"

    @property
    def variables(self) -> dict[str, str]:
        """No credentials: loopback only."""
        return {"GRIDPULSE_SCHEMA_REGISTRY_URL": self.address}

    def prepare(self, installation: Path) -> tuple[Command, ...]:
        """Make the directory of the H2 file."""
        del installation
        self.directory.mkdir(parents=True, exist_ok=True)
        return ()

    def command(self, installation: Path) -> Command:
        """Return the command of the runner jar."""
        java = require("Running Apicurio", ["java"], self.environ, "Or set GRIDPULSE_SCHEMA_REGISTRY_URL.")["java"]
        jar = next((installation / "app").glob("*-runner.jar"))
        words = (java, *JVM_OPTIONS, *shared_classes(installation), "-jar", str(jar.relative_to(installation)))
        # WRITE_DELAY=0: a schema id that was handed out must outlive a kill a moment later.
        database = f"jdbc:h2:file:{self.directory.resolve() / 'registry'};WRITE_DELAY=0;DB_CLOSE_ON_EXIT=FALSE"
        environment = {
            "APICURIO_STORAGE_KIND": "sql",
            "APICURIO_STORAGE_SQL_KIND": "h2",
            "APICURIO_DATASOURCE_URL": database,
            "APICURIO_DATASOURCE_JDBC_INITIAL_SIZE": "2",
            "APICURIO_DATASOURCE_JDBC_MIN_SIZE": "2",
            "APICURIO_DATASOURCE_JDBC_MAX_SIZE": "20",
            "QUARKUS_DATASOURCE_H2_JDBC_ACQUISITION_TIMEOUT": "60S",  # 5 s ended its start on a machine with other work
            "QUARKUS_HTTP_HOST": LOOPBACK,
            "QUARKUS_HTTP_PORT": str(self.ports["http"]),
            "QUARKUS_LOG_CONSOLE_JSON": "false",
        }
        return Command(words, environment, directory=installation)

    def answers(self) -> bool:
        """Whether it is ready and lists its subjects."""
        try:
            ready = HTTP.get(f"http://{self.host_port}/health/ready", timeout=2).is_success
            return ready and HTTP.get(f"{self.address}/subjects", timeout=5).is_success
        except httpx.HTTPError:
            return False
