"""What a test or the demo sees of a server, wherever it comes from."""

from __future__ import annotations

from abc import ABC, abstractmethod

__all__ = ["Server"]


class Server(ABC):
    """One server of the stack. `kafka`, `registry`, `s3` or `influx` by name."""

    name: str

    @property
    @abstractmethod
    def title(self) -> str:
        """The product: Kafka, Apicurio Registry, MinIO, SeaweedFS, InfluxDB."""

    @property
    @abstractmethod
    def address(self) -> str:
        """What clients are given; empty while it cannot be known."""

    @property
    @abstractmethod
    def via(self) -> str:
        """`environment`, `path`, `cache` or `built`; empty while the binaries are not there."""

    @property
    @abstractmethod
    def up(self) -> bool:
        """Whether it runs now (a paused server does)."""

    @property
    @abstractmethod
    def expected(self) -> bool:
        """Whether it runs, or ran, or will: clients may be given its address."""

    @property
    @abstractmethod
    def ours(self) -> bool:
        """Whether this program started it, and so may stop it."""

    @property
    @abstractmethod
    def variables(self) -> dict[str, str]:
        """The GRIDPULSE_* variables by which apps find it."""

    @abstractmethod
    def start(self) -> None:
        """Start it, or find it running; returns when it answers. Raises ServerFailedError."""

    @abstractmethod
    def stop(self) -> None:
        """End it in order; data stay, `start` brings it back on the same port. Raises NotOursError."""

    @abstractmethod
    def kill(self) -> None:
        """End it as a crash would (SIGKILL). Raises NotOursError."""

    @abstractmethod
    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open and nothing answers. Raises NotOursError."""

    @abstractmethod
    def resume(self) -> None:
        """End the pause. Raises NotOursError."""
