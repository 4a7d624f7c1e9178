"""GridPulse's servers as plain processes: Kafka, a schema registry, an S3 server, InfluxDB."""

from __future__ import annotations

from gridpulse_native.errors import (
    BuildFailedError,
    MissingToolError,
    NativeError,
    NotOursError,
    ServerFailedError,
)
from gridpulse_native.messages import Progress
from gridpulse_native.servers.server import Server
from gridpulse_native.stack import ALL_SERVERS, Stack

__all__ = [
    "ALL_SERVERS",
    "BuildFailedError",
    "MissingToolError",
    "NativeError",
    "NotOursError",
    "Progress",
    "Server",
    "ServerFailedError",
    "Stack",
]
