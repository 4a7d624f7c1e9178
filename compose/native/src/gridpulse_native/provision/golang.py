"""Building a Go program from its module, the way the environment's Go is set up to get modules."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gridpulse_native.provision.workshop import Workshop

__all__ = ["GoProgram", "build_program", "copy_from_module"]

DOWNLOAD_ATTEMPTS = 4
BUILD_ATTEMPTS = 2  # a cgo build may download too (crates), so one failure is not final


@dataclass(frozen=True)
class GoProgram:
    """One main package of a published module."""

    name: str
    module: str
    version: str
    package: str
    tags: str = ""
    link: str = ""
    """More flags of the linker, as `-X importpath.name=value`."""
    replace: tuple[str, ...] = ()
    """The module's own `replace` lines: Go heeds only those of the main module, which here is ours."""
    environment: Mapping[str, str] = field(default_factory=dict)

    def go_mod(self) -> str:
        """Return a module that requires the program and nothing else."""
        lines = [f"module gridpulse.local/{self.name}", "go 1.23.0", f"require {self.module} {self.version}"]
        return "\n\n".join([*lines, *(f"replace {line}" for line in self.replace)]) + "\n"


def build_program(shop: Workshop, go: str, program: GoProgram) -> None:
    """Build the program into the workshop's directory under its own name.

    Downloads come first, as a step of their own, because they are worth retrying and a compile error is not.
    """
    flags = f"{shop.environment.get('GOFLAGS', '')} -mod=mod".strip()
    shop = shop.having({"GOFLAGS": flags, "GOWORK": "off", **program.environment})
    (shop.directory / "go.mod").write_text(program.go_mod())
    tags = ["-tags", program.tags] if program.tags else []
    listing = [go, "list", "-deps", "-f", "{{.ImportPath}}", *tags, program.package]
    shop.run("downloading Go modules", listing, attempts=DOWNLOAD_ATTEMPTS)
    target = str(shop.directory / program.name)
    build = [go, "build", "-v", "-trimpath", f"-ldflags=-s -w {program.link}".rstrip(), *tags, "-o", target, program.package]
    shop.run("compiling", build, attempts=BUILD_ATTEMPTS)


def copy_from_module(shop: Workshop, go: str, module: str, version: str, folders: Mapping[str, str]) -> None:
    """Copy the YAML files of folders of a published module, by their path in it, to a name in the workshop's directory."""
    shop.run(f"downloading {module}", [go, "mod", "download", f"{module}@{version}"], attempts=DOWNLOAD_ATTEMPTS)
    asked = subprocess.run(  # noqa: S603 - found on the user's own PATH
        [go, "env", "GOMODCACHE"], cwd=shop.directory, env=dict(shop.environment), capture_output=True, text=True, check=True
    )
    for path, name in folders.items():
        folder = Path(asked.stdout.strip()) / f"{module}@{version}" / path
        for file in folder.rglob("*.yaml"):
            copy = shop.directory / name / file.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)  # without its mode: modules are read-only
