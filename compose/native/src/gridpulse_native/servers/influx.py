"""InfluxDB 2."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import httpx

from gridpulse_native.http import HTTP
from gridpulse_native.servers.product import Command, Product

__all__ = ["Influx", "influxd_on_path"]

# Known before the server is: apps are given them while it is still being built. It listens on loopback only.
TOKEN = "gridpulse-local-token"  # noqa: S105
ORG = "gridpulse"
BUCKET = "gridpulse"
COLLECTOR = {"GOGC": "400", "GOMEMLIMIT": "1200MiB"}
"""Go's collector takes a ninth of what a point costs at its default of 100; the limit makes it work harder where memory ends."""


def influxd_on_path(environ_path: str | None) -> Path | None:
    """Return the directory of an `influxd` 2.x on PATH; 1.x and 3.x speak another protocol."""
    found = shutil.which("influxd", path=environ_path)
    if found is None:
        return None
    try:
        shown = subprocess.run([found, "version"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = shown.stdout.split()
    return Path(found).parent if any(word.startswith(("v2.", "2.")) for word in words) else None


@dataclass(frozen=True)
class Influx(Product):
    """One influxd, set up with one organisation, bucket and token."""

    name: ClassVar[str] = "influx"
    title: ClassVar[str] = "InfluxDB"
    folder: ClassVar[str] = "influx"
    port_names: ClassVar[tuple[str, ...]] = ("http",)

    @property
    def variables(self) -> dict[str, str]:
        """Address, and the credentials it is set up with."""
        return {
            "GRIDPULSE_INFLUX_URL": self.address,
            "GRIDPULSE_INFLUX_TOKEN": TOKEN,
            "GRIDPULSE_INFLUX_ORG": ORG,
            "GRIDPULSE_INFLUX_BUCKET": BUCKET,
        }

    def prepare(self, installation: Path) -> tuple[Command, ...]:
        """Make the data directory."""
        del installation
        self.directory.mkdir(parents=True, exist_ok=True)
        return ()

    def command(self, installation: Path) -> Command:
        """Return the command with every path under the data directory, and no usage reports sent."""
        words = (
            str(installation / "influxd"),
            f"--bolt-path={self.directory / 'influxd.bolt'}",
            f"--sqlite-path={self.directory / 'influxd.sqlite'}",
            f"--engine-path={self.directory / 'engine'}",
            f"--http-bind-address={self.host_port}",
            "--reporting-disabled",
            "--pprof-disabled",  # a sixth of its CPU: it samples every 4096 bytes for a page that nobody opens
            "--log-level=info",
        )
        return Command(words, COLLECTOR)

    def answers(self) -> bool:
        """Whether it is healthy, set up, and takes our token."""
        try:
            if not HTTP.get(f"{self.address}/health").is_success:
                return False
            if HTTP.get(f"{self.address}/api/v2/setup").json()["allowed"]:
                self._set_up()
            return self._knows_us()
        except (httpx.HTTPError, ValueError, KeyError):
            return False

    def _set_up(self) -> None:
        HTTP.post(
            f"{self.address}/api/v2/setup",
            json={"username": "gridpulse", "password": TOKEN, "org": ORG, "bucket": BUCKET, "token": TOKEN},
        ).raise_for_status()

    def _knows_us(self) -> bool:
        asked = HTTP.get(f"{self.address}/api/v2/buckets", params={"name": BUCKET}, headers={"Authorization": f"Token {TOKEN}"})
        return asked.is_success and bool(asked.json()["buckets"])
