"""What a data directory remembers of its servers, so that a second start finds the first."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from gridpulse_native.process import started_at

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Record", "file_of", "read_all"]


@dataclass(frozen=True)
class Record:
    """A server as its owner, the program that started it, left it."""

    name: str
    title: str
    address: str
    via: str
    ports: dict[str, int] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    pid: int = 0
    pid_started: int | None = None
    owner: int = 0
    owner_started: int | None = None

    @property
    def running(self) -> bool:
        """Whether the very process (not one that got its pid later) exists."""
        return self.pid > 0 and started_at(self.pid) == self.pid_started is not None

    @property
    def owned(self) -> bool:
        """Whether the program that started it exists; without it the kernel is about to end the server."""
        return self.owner > 0 and started_at(self.owner) == self.owner_started is not None

    @property
    def live(self) -> bool:
        """Whether it can be used."""
        return self.running and self.owned

    def write(self, file: Path) -> None:
        """Replace the file at once; it holds credentials, so only its user may read it."""
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(asdict(self), indent=1))
        draft.replace(file)

    @classmethod
    def read(cls, file: Path) -> Record | None:
        """Return the record, or None where there is none that can be understood."""
        try:
            return cls(**json.loads(file.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    @classmethod
    def of(cls, process: int, *, name: str, title: str, address: str, via: str,
           ports: dict[str, int], variables: dict[str, str]) -> Record:  # fmt: skip
        """Return the record of a process that this program started."""
        return cls(
            name=name, title=title, address=address, via=via, ports=ports, variables=variables,
            pid=process, pid_started=started_at(process),
            owner=os.getpid(), owner_started=started_at(os.getpid()),
        )  # fmt: skip


def file_of(data: Path, name: str) -> Path:
    """Where the record of the server `name` is kept."""
    return data / "state" / f"{name}.json"


def read_all(data: Path) -> list[Record]:
    """All readable records of a data directory, by name."""
    records = (Record.read(file) for file in sorted((data / "state").glob("*.json")))
    return [record for record in records if record is not None]
