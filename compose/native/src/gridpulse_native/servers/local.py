"""A server process on this machine: started by this program, or found where another program started it."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridpulse_native.errors import CancelledError, NotOursError, ServerFailedError
from gridpulse_native.locks import exclusive
from gridpulse_native.messages import Say, elapsed
from gridpulse_native.ports import choose
from gridpulse_native.process import Process
from gridpulse_native.record import Record, file_of
from gridpulse_native.servers.server import Server

if TYPE_CHECKING:
    from pathlib import Path

    from gridpulse_native.installation import Installation
    from gridpulse_native.servers.product import Command, Product
    from gridpulse_native.settings import NativeSettings

__all__ = ["LocalServer", "Site"]

POLL_SECONDS = 0.1
DYING_SECONDS = 15.0


@dataclass(frozen=True)
class Site:
    """What the servers of one stack share."""

    data: Path
    settings: NativeSettings
    say: Say
    cancel: threading.Event


class LocalServer(Server):
    """A product at a site. Its ports are chosen when it is made, so its address is known before it runs."""

    def __init__(self, kind: type[Product], site: Site, installation: Installation | None = None) -> None:
        """`installation` may follow later, through `install`."""
        self.name = kind.name
        self._site = site
        self._kind = kind
        self._installation = installation
        self._file = file_of(site.data, kind.name)
        self._log = site.data / "logs" / f"{kind.name}.log"
        self._process: Process | None = None
        self._given_up = False
        # Reentrant, because stop() may interrupt a start() of the same thread.
        self._turn = threading.RLock()
        record = Record.read(self._file)
        self._found = record if record is not None and record.live else None
        # The same ports as last time where they are free: brokers tell clients their address.
        before = record.ports if record is not None else {}
        ports = before if self._found else choose(kind.port_names, before)
        self._product = kind(site.data / kind.folder, ports, site.settings.environ)

    @property
    def title(self) -> str:
        """The product's name."""
        return self._found.title if self._found else self._product.title

    @property
    def address(self) -> str:
        """Fixed from the beginning."""
        return self._found.address if self._found else self._product.address

    @property
    def via(self) -> str:
        """As the program that started it saw it."""
        if self._found:
            return self._found.via
        return self._installation.via if self._installation else ""

    @property
    def up(self) -> bool:
        """Whether its process runs."""
        if self._found:
            return self._found.live
        return self._process is not None and self._process.alive

    @property
    def expected(self) -> bool:
        """False once it is known that it cannot be had."""
        return not self._given_up

    @property
    def ours(self) -> bool:
        """Whether this program started it, or is to start it."""
        return self._found is None

    @property
    def found(self) -> Record | None:
        """The record of the other program that runs it."""
        return self._found

    @property
    def variables(self) -> dict[str, str]:
        """As the product says."""
        return dict(self._found.variables) if self._found else self._product.variables

    @property
    def pid(self) -> int | None:
        """Process id, while it is up."""
        if not self.up:
            return None
        return self._found.pid if self._found else self._process.pid if self._process else None

    def install(self, installation: Installation) -> None:
        """Give it its binaries."""
        self._installation = installation

    def give_up(self) -> None:
        """Take note that it cannot be had: apps are not told of it."""
        self._given_up = True

    def ended(self) -> str | None:
        """How it ended, if it ended without our doing: a message with the last lines of its log."""
        process = self._process
        if process is None or process.alive:
            return None
        return f"{self.title} ended (status {process.status}); log {self._log}:\n{process.last_lines()}"

    def start(self) -> None:
        """Start it on its ports, or find another program's; returns when it answers.

        Raises ServerFailedError, with its last lines, when it ends or does not answer in time.
        """
        if self.up:
            return
        waiting = f"{self.title}: another program is starting it; waiting"
        lock = self._file.with_suffix(".lock")
        with self._turn, exclusive(lock, self._site.say, waiting, self._site.cancel):
            self._found = self._running_elsewhere()
            if self._found is None:
                self._launch()
            else:
                self._site.say(f"{self.title}: already running at {self.address} (program {self._found.owner})")

    def stop(self) -> None:
        """Ask it to end; SIGKILL when it takes too long."""
        self._own()
        process, self._process = self._process, None
        if process is not None:
            process.stop(self._product.grace)

    def kill(self) -> None:
        """SIGKILL."""
        self._own()
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def pause(self) -> None:
        """SIGSTOP."""
        self._running().signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._running().signal(signal.SIGCONT)

    def _own(self) -> None:
        if self._found:
            raise NotOursError(f"{self.name} belongs to program {self._found.owner}: only that one may stop it")

    def _running(self) -> Process:
        self._own()
        if self._process is None or not self._process.alive:
            raise NotOursError(f"{self.name} is not running")
        return self._process

    def _running_elsewhere(self) -> Record | None:
        """Return the record of a live server; one whose program is gone is dying, and waited for."""
        deadline = time.monotonic() + DYING_SECONDS
        record = Record.read(self._file)
        while record is not None and record.running and not record.owned and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return record if record is not None and record.live else None

    def _launch(self) -> None:
        if self._installation is None:
            raise ServerFailedError(f"{self.title} is not installed yet")
        if self._site.cancel.is_set():
            raise CancelledError(f"{self.title}: the stack was stopped before it started")
        began = time.monotonic()
        for command in self._product.prepare(self._installation.path):
            self._run_to_end(command)
        process = self._process = self._spawn(self._product.command(self._installation.path))
        try:
            self._await_answer(process)
        except BaseException:
            process.kill()
            raise
        self._remember(process)
        self._site.say(f"{self.title}: up at {self.address} after {elapsed(time.monotonic() - began)}")

    def _spawn(self, command: Command) -> Process:
        environment = {**self._site.settings.environ, **command.environment}
        directory = command.directory or self._product.directory
        return Process(command.words, log=self._log, directory=directory, environment=environment)

    def _run_to_end(self, command: Command) -> None:
        process = self._process = self._spawn(command)
        if not process.wait(self._product.patience) or process.status != 0:
            process.kill()
            raise ServerFailedError(f"{self.title} could not be prepared; log {self._log}:\n{process.last_lines()}")

    def _await_answer(self, process: Process) -> None:
        deadline = time.monotonic() + self._product.patience
        while not self._product.answers():
            if self._site.cancel.is_set():
                raise CancelledError(f"{self.title}: the stack was stopped while it started")
            late = time.monotonic() > deadline
            if late or not process.alive:
                what = f"did not answer in {self._product.patience:.0f} s" if late else "ended while starting"
                raise ServerFailedError(f"{self.title} {what}; log {self._log}:\n{process.last_lines()}")
            time.sleep(POLL_SECONDS)

    def _remember(self, process: Process) -> None:
        record = Record.of(
            process.pid, name=self.name, title=self.title, address=self.address, via=self.via,
            ports=dict(self._product.ports), variables=self.variables,
        )  # fmt: skip
        record.write(self._file)
