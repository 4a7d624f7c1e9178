"""The Java peers: libraries from Maven, our few classes compiled against them, kept in the cache by a hash of their sources."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from gridpulse_native.provision.maven import copy_libraries
from gridpulse_native.provision.provisioner import Provisioner
from gridpulse_native.provision.recipes import Recipe
from gridpulse_native.provision.workshop import Workshop
from gridpulse_native.settings import NativeSettings

__all__ = ["FLINK_VERSION", "STREAMS_VERSION", "class_path"]

SOURCES = sorted((Path(__file__).parent / "java").glob("*.java"))
STREAMS_VERSION, FLINK_VERSION = "4.3.1", "2.2.1"
LIBRARIES = (
    f"org.apache.kafka:kafka-streams:{STREAMS_VERSION}",
    *(f"org.apache.flink:{name}:{FLINK_VERSION}" for name in ("flink-streaming-java", "flink-clients", "flink-connector-base")),
    "org.apache.flink:flink-connector-kafka:5.0.0-2.2",
    "org.slf4j:slf4j-nop:2.0.17",
)


def class_path() -> str:
    """For `java -cp`; fetches and compiles where that was not done yet. Raises MissingToolError, BuildFailedError."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES) + repr(LIBRARIES).encode()).hexdigest()[:12]
    recipe = Recipe("bench-peers", digest, ("java", "javac", "mvn"), "The comparison needs a JDK and Maven.", _make)
    folder = Provisioner(NativeSettings.from_environment(), lambda text: print(text, flush=True)).build(recipe)
    return f"{folder / 'classes'}:{folder / 'libs'}/*"


def _make(shop: Workshop, tools: Mapping[str, str]) -> None:
    copy_libraries(shop, tools["mvn"], LIBRARIES)
    options = ["-encoding", "UTF-8", "-Xlint:all,-processing,-serial", "-d", str(shop.directory / "classes")]
    shop.run("compiling", [tools["javac"], *options, "-cp", f"{shop.directory / 'libs'}/*", *map(str, SOURCES)])
