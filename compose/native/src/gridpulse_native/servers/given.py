"""A server whose address the environment gives: used, never started or stopped."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gridpulse_native.errors import NotOursError, ServerFailedError
from gridpulse_native.ports import connects
from gridpulse_native.servers.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GivenServer"]

PATIENCE_SECONDS = 20.0
# By server: the variable that gives it, the prefix of all that belong to it, and what else must be set (or
# its _FILE).
GIVEN_BY: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "kafka": ("GRIDPULSE_KAFKA_BOOTSTRAP", "GRIDPULSE_KAFKA_", ()),
    "registry": ("GRIDPULSE_SCHEMA_REGISTRY_URL", "GRIDPULSE_SCHEMA_REGISTRY_", ()),
    "s3": ("GRIDPULSE_S3_ENDPOINT", "GRIDPULSE_S3_", ("GRIDPULSE_S3_ACCESS_KEY", "GRIDPULSE_S3_SECRET_KEY")),
    "influx": (
        "GRIDPULSE_INFLUX_URL",
        "GRIDPULSE_INFLUX_",
        ("GRIDPULSE_INFLUX_TOKEN", "GRIDPULSE_INFLUX_ORG", "GRIDPULSE_INFLUX_BUCKET"),
    ),
}
DEFAULT_PORTS = {"http": 80, "https": 443}


def _host_port(address: str) -> tuple[str, int]:
    """Host and port of the first address in a URL or bootstrap list."""
    first = address.split(",", 1)[0].strip()
    parts = urlsplit(first if "://" in first else f"//{first}")
    port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    if not parts.hostname or port is None:
        raise ValueError(address)
    return parts.hostname, port


class GivenServer(Server):
    """The server `name` as the environment describes it."""

    def __init__(self, name: str, given: Mapping[str, str]) -> None:
        """Raise ServerFailedError when the variables given are not enough, or hold no address."""
        self.name = name
        self._variable, prefix, needed = GIVEN_BY[name]
        missing = [var for var in needed if var not in given and f"{var}_FILE" not in given]
        if missing:
            raise ServerFailedError(f"{self._variable} is set, so {', '.join(missing)} must be set too")
        self._variables = {var: value for var, value in given.items() if var.startswith(prefix)}
        try:
            self._host, self._port = _host_port(self.address)
        except ValueError:
            raise ServerFailedError(f"{self._variable}={self.address} has no host and port in it") from None

    @classmethod
    def is_given(cls, name: str, given: Mapping[str, str]) -> bool:
        """Whether the environment gives this server."""
        return GIVEN_BY[name][0] in given

    @property
    def title(self) -> str:
        """Which product it is cannot be known."""
        return "given"

    @property
    def address(self) -> str:
        """As given."""
        return self._variables[self._variable]

    @property
    def via(self) -> str:
        """Always `environment`."""
        return "environment"

    @property
    def up(self) -> bool:
        """Whether it accepts connections now."""
        return connects(self._host, self._port, 2.0)

    @property
    def expected(self) -> bool:
        """It is there as far as anyone here knows."""
        return True

    @property
    def ours(self) -> bool:
        """Never."""
        return False

    @property
    def variables(self) -> dict[str, str]:
        """As given."""
        return dict(self._variables)

    def start(self) -> None:
        """Wait a little until it accepts connections; raises ServerFailedError when it does not."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.up:
            if time.monotonic() > deadline:
                raise ServerFailedError(f"{self._variable}={self.address} does not accept connections")
            time.sleep(0.5)

    def stop(self) -> None:
        """Raise NotOursError."""
        raise NotOursError(f"{self.name} is given by {self._variable}: it is not ours to stop")

    kill = pause = resume = stop
