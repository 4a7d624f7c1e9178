"""The recipes: what to fetch or build, and what is needed for it."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gridpulse_native.provision.class_archive import archive_classes
from gridpulse_native.provision.golang import GoProgram, build_program
from gridpulse_native.provision.maven import copy_archive, copy_libraries
from gridpulse_native.provision.toolchain import require
from gridpulse_native.servers.apicurio import Apicurio
from gridpulse_native.servers.kafka import Kafka

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gridpulse_native.provision.workshop import Workshop

__all__ = [
    "ALERTMANAGER",
    "APICURIO",
    "COMPOSE_SPEC",
    "INFLUXD",
    "KAFKA",
    "MINIO",
    "NO_C",
    "PROMETHEUS",
    "RECIPES",
    "Recipe",
    "go_recipe",
]

BUILD_NICENESS = 10  # a demo beside the build stays usable
NO_C = {"CGO_ENABLED": "0"}

KAFKA_VERSION = "4.3.1"
# Kafka's artifacts depend on the logging API only; without a binding the broker runs mute.
KAFKA_ARTIFACTS = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
    f"org.apache.kafka:kafka-tools:{KAFKA_VERSION}",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
)
APICURIO_VERSION = "3.0.9"  # the last line that runs on Java 17
INFLUX_PROGRAM = GoProgram(
    name="influxd",
    module="github.com/influxdata/influxdb/v2",
    version="v2.7.12",
    package="github.com/influxdata/influxdb/v2/cmd/influxd",
    tags="sqlite_foreign_keys,sqlite_json",
    replace=(
        (
            "github.com/nats-io/nats-streaming-server v0.11.2 => "
            "github.com/influxdata/nats-streaming-server v0.11.3-0.20201112040610-c277f7560803"
        ),
    ),
    environment={"CGO_ENABLED": "1"},
)
FLUX_BUILDER = GoProgram(
    name="pkg-config",
    module="github.com/influxdata/pkg-config",
    version="v0.2.14",
    package="github.com/influxdata/pkg-config",
    environment=NO_C,
)
MINIO_PROGRAM = GoProgram(
    name="minio",
    module="github.com/minio/minio",
    version="v0.0.0-20260212201848-7aac2a2c5b7c",
    package="github.com/minio/minio",
    environment=NO_C,
)
ALERTMANAGER_PROGRAM = GoProgram(
    name="alertmanager",
    module="github.com/prometheus/alertmanager",
    version="v0.28.1",
    package="github.com/prometheus/alertmanager/cmd/alertmanager",
    environment=NO_C,
)
PROMETHEUS_PROGRAM, PROMTOOL_PROGRAM = (
    GoProgram(
        name=name,
        module="github.com/prometheus/prometheus",
        version="v0.313.5",  # Prometheus 3.13
        package=f"github.com/prometheus/prometheus/cmd/{name}",
        tags="remove_all_sd",  # the clouds it can find targets in are most of what would be compiled
        environment=NO_C,
    )
    for name in ("prometheus", "promtool")
)
COMPOSE_SPEC_PROGRAM = GoProgram(
    name="compose-spec",
    module="github.com/compose-spec/compose-go/v2",
    version="v2.16.2",
    package="github.com/compose-spec/compose-go/v2/cmd",
    environment=NO_C,
)
# Flux was written for an older compiler, some of whose warnings are errors today.
RUSTC_WRAPPER = '#!/bin/sh\nexec "$@" --cap-lints allow\n'


@dataclass(frozen=True)
class Recipe:
    """How one server gets into the cache."""

    name: str
    version: str
    tools: tuple[str, ...]
    otherwise: str
    """What to do where a tool is missing and cannot be installed."""
    make: Callable[[Workshop, Mapping[str, str]], None]
    """Fill the workshop's directory; the tools' paths are given by name."""
    slow: bool = False
    """Minutes of compiling: worth going on without."""

    def find_tools(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Paths of the tools; raises MissingToolError."""
        return require(f"Building {self.name} {self.version}", self.tools, environ, self.otherwise)

    @property
    def niceness(self) -> int:
        """Slow builds give way to what runs beside them."""
        return BUILD_NICENESS if self.slow else 0


def _make_kafka(shop: Workshop, tools: Mapping[str, str]) -> None:
    copy_libraries(shop, tools["mvn"], KAFKA_ARTIFACTS)
    archive_classes(shop, Kafka)


def _make_apicurio(shop: Workshop, tools: Mapping[str, str]) -> None:
    copy_archive(shop, tools["mvn"], f"io.apicurio:apicurio-registry-app:{APICURIO_VERSION}:tar.gz:all")
    archive_classes(shop, Apicurio)


def go_recipe(*programs: GoProgram, otherwise: str, slow: bool = True) -> Recipe:
    """Recipe of programs that need nothing but Go, called and versioned as the first of them."""

    def make(shop: Workshop, tools: Mapping[str, str]) -> None:
        for program in programs:
            build_program(shop, tools["go"], program)

    version = programs[0].version.removeprefix("v")
    return Recipe(name=programs[0].name, version=version, tools=("go",), otherwise=otherwise, make=make, slow=slow)


def _make_influxd(shop: Workshop, tools: Mapping[str, str]) -> None:
    """Build influxd, and before it the `pkg-config` that builds flux's Rust core when cgo asks for it."""
    helper = shop.directory / "flux-builder"
    helper.mkdir()
    build_program(shop.within(helper), tools["go"], FLUX_BUILDER)
    wrapper = helper / "rustc-wrapper"
    wrapper.write_text(RUSTC_WRAPPER)
    wrapper.chmod(0o755)
    own = {
        "PKG_CONFIG": str(helper / "pkg-config"),
        "RUSTC_WRAPPER": str(wrapper),
        "CARGO": tools["cargo"],
    }
    _forget_partial_flux(shop, tools["go"])
    build_program(shop.having({**own, **_rust_toolchain(shop)}), tools["go"], INFLUX_PROGRAM)
    shutil.rmtree(helper)


def _rust_toolchain(shop: Workshop) -> dict[str, str]:
    """Name the installed toolchain for rustup; flux's sources ask for one that may not be there."""
    rustup = shutil.which("rustup", path=shop.environment.get("PATH"))
    if rustup is None or "RUSTUP_TOOLCHAIN" in shop.environment:
        return {}
    shown = subprocess.run(  # noqa: S603 - found on the user's own PATH
        [rustup, "show", "active-toolchain"],
        cwd=shop.directory, env=dict(shop.environment), capture_output=True, text=True, check=False,
    )  # fmt: skip
    words = shown.stdout.split()
    return {"RUSTUP_TOOLCHAIN": words[0]} if shown.returncode == 0 and words else {}


def _forget_partial_flux(shop: Workshop, go: str) -> None:
    """Remove flux's sources from Go's build cache where an interrupted build left a part of them.

    The flux builder copies them there from the read-only module and never looks again whether they are
    complete.
    """
    asked = subprocess.run(  # noqa: S603 - found on the user's own PATH
        [go, "env", "-json", "GOCACHE", "GOMODCACHE"],
        cwd=shop.directory, env=dict(shop.environment), capture_output=True, text=True, check=True,
    )  # fmt: skip
    places = json.loads(asked.stdout)
    vendor = Path("github.com/influxdata")
    for copy in (Path(places["GOCACHE"]) / "pkgconfig" / vendor).glob("flux@*"):
        if not _contains(copy, Path(places["GOMODCACHE"]) / vendor / copy.name):
            shutil.rmtree(copy, ignore_errors=True)


def _contains(copy: Path, original: Path) -> bool:
    """Whether every file of `original` is in `copy` with its size."""
    files = [file for file in original.rglob("*") if file.is_file()]
    copies = [copy / file.relative_to(original) for file in files]
    return bool(files) and all(
        there.is_file() and there.stat().st_size == file.stat().st_size for file, there in zip(files, copies, strict=True)
    )


KAFKA = Recipe(
    name="kafka",
    version=f"{KAFKA_VERSION}-jsa",
    tools=("java", "mvn"),
    otherwise="Or set GRIDPULSE_KAFKA_BOOTSTRAP to a running broker.",
    make=_make_kafka,
)
APICURIO = Recipe(
    name="apicurio-registry",
    version=f"{APICURIO_VERSION}-jsa",
    tools=("java", "mvn"),
    otherwise="Or set GRIDPULSE_SCHEMA_REGISTRY_URL to a running registry.",
    make=_make_apicurio,
)
INFLUXD = Recipe(
    name="influxd",
    version=INFLUX_PROGRAM.version.removeprefix("v"),
    tools=("go", "cargo", "cc"),
    otherwise="Or put influxd 2.x on PATH, or set GRIDPULSE_INFLUX_URL, _TOKEN, _ORG and _BUCKET.",
    make=_make_influxd,
    slow=True,
)
MINIO = go_recipe(MINIO_PROGRAM, otherwise="Or put minio on PATH, or set GRIDPULSE_S3_ENDPOINT, _ACCESS_KEY and _SECRET_KEY.")
ALERTMANAGER = go_recipe(ALERTMANAGER_PROGRAM, otherwise="Or put alertmanager on PATH (Debian: prometheus-alertmanager).")
"""No part of the stack: the alerter is tested against it."""
PROMETHEUS = go_recipe(
    PROMETHEUS_PROGRAM, PROMTOOL_PROGRAM, otherwise="Or put prometheus and promtool on PATH (Debian: prometheus)."
)
"""No part of the stack: dashboards and rules are tested against it."""
COMPOSE_SPEC = go_recipe(
    COMPOSE_SPEC_PROGRAM, otherwise="It reads compose files as `docker compose` does, for the tests.", slow=False
)
"""No part of the stack: the compose files are tested with it."""
RECIPES = {recipe.name: recipe for recipe in (KAFKA, APICURIO, INFLUXD, MINIO, ALERTMANAGER, PROMETHEUS, COMPOSE_SPEC)}
