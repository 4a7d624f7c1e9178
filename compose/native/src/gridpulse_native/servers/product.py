"""What is particular to one server program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from gridpulse_native.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["CLASSES", "Command", "Product", "shared_classes"]

CLASSES = "classes.jsa"
"""In an installation of ours of a Java server, see provision/class_archive.py."""


def shared_classes(installation: Path) -> tuple[str, ...]:
    """The JVM's option for the archive of classes in `installation`; none where there is none.

    The JVM takes an archive only with the class path it was written with, so the path is relative to the installation.
    """
    kept = installation / CLASSES
    return (f"-XX:SharedArchiveFile={kept}",) if kept.is_file() else ()


@dataclass(frozen=True)
class Command:
    """A program, its arguments, what is added to its environment, and where it runs: with the server's data where None."""

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None


@dataclass(frozen=True)
class Product(ABC):
    """A server program at its place: a directory for its data, its ports, the environment it inherits."""

    directory: Path
    ports: Mapping[str, int]
    environ: Mapping[str, str]

    name: ClassVar[str]
    title: ClassVar[str]
    folder: ClassVar[str]
    """Folder of its data in the data directory."""
    port_names: ClassVar[tuple[str, ...]]
    """The ports it listens on; the first is the clients'."""
    patience: ClassVar[float] = 60.0
    """Seconds it may take to answer."""
    grace: ClassVar[float] = 20.0
    """Seconds it may take to end in order."""

    @property
    def host_port(self) -> str:
        """`127.0.0.1:port` of the clients' port."""
        return f"{LOOPBACK}:{self.ports[self.port_names[0]]}"

    @property
    def address(self) -> str:
        """What clients are given."""
        return f"http://{self.host_port}"

    @property
    @abstractmethod
    def variables(self) -> dict[str, str]:
        """The GRIDPULSE_* variables by which apps find it."""

    @abstractmethod
    def prepare(self, installation: Path) -> tuple[Command, ...]:
        """Write directories and configuration; return commands to run to their end before this start."""

    @abstractmethod
    def command(self, installation: Path) -> Command:
        """Return the command that runs the server in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves its clients now.

        Called again and again while it starts, so what has to be there once (a bucket, an account) is made
        here.
        """
