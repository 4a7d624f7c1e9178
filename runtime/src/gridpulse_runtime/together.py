"""Several Quix applications in one process, each with its own consumer group, state and offsets.

For apps whose destinations must not wait for each other: what one application cannot deliver pauses that one only.

    parts = Parts(health)
    apps = {}
    for name in ("anomalies", "rollups"):
        app = make_application(settings, NAME, metrics, part=name)  # group gridpulse-<NAME>-<name>
        wire(app, …)
        watch(app, parts.part(name))
        apps[name] = app
    run_together(apps)

What Quix Streams keeps for the whole process was looked through: the message context is a context variable, so each thread has
its own; state directories are named by the consumer group; the shared table printer is touched only by `print_table`; signal
handlers are left to the main thread (stream_application.py).
"""

import contextvars
import signal
import threading
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import structlog

from gridpulse_runtime.health import Check, Health

__all__ = ["Parts", "Runnable", "run_together"]

log = structlog.get_logger(__name__)
ASK_AGAIN_SECONDS = 0.1
LOOK_SECONDS = 0.5


class Runnable(Protocol):
    """What is used of a Quix application."""

    def run(self) -> Any:
        """Work until `stop`; commits, then returns. Raises what went wrong, uncommitted."""

    def stop(self) -> None:
        """Ask `run` to end; called from another thread, more than once."""


class Parts:
    """One process's health from that of its parts: it beats once each of them has, and is ready when all are."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._lock = threading.Lock()
        self._names: set[str] = set()
        self._silent: set[str] = set()

    def part(self, name: str) -> Health:
        """Health to give to the part `name`, before any of them beats; its checks appear as `<name>: <check>`."""
        self._names.add(name)
        self._silent.add(name)
        return _Part(lambda: self._beat(name), lambda check_name, check: self._health.add(f"{name}: {check_name}", check))

    def _beat(self, name: str) -> None:
        with self._lock:
            self._silent.discard(name)
            if self._silent:
                return
            self._silent = set(self._names)
        self._health.beat()


class _Part(Health):
    def __init__(self, beat: Callable[[], None], add: Callable[[str, Check], None]) -> None:
        super().__init__()
        self._on_beat = beat
        self._on_add = add

    def beat(self) -> None:
        super().beat()
        self._on_beat()

    def add(self, name: str, check: Check) -> None:
        super().add(name, check)
        self._on_add(name, check)


def run_together(apps: Mapping[str, Runnable]) -> None:
    """Run each of `apps` in a thread of its own until SIGTERM or Ctrl-C; then all stop with their work committed.

    Called in the main thread. As soon as one ends by itself the others are stopped too, and commit. Raises what the first one
    to fail raised: the process is to end with a failure, and be restarted from the checkpoints. A second Ctrl-C does not wait.
    """
    ended: SimpleQueue[None] = SimpleQueue()  # put by signal handlers too: an Event's lock would be taken twice by one thread
    failures: list[BaseException] = []

    def work(name: str, app: Runnable) -> None:
        structlog.contextvars.bind_contextvars(part=name)
        try:
            app.run()
        except BaseException as error:  # noqa: BLE001  raised again in the main thread
            failures.append(error)
            log.error("one part failed: all stop", error=repr(error))  # noqa: TRY400  the trace follows with the raise
        finally:
            ended.put(None)

    _stop_at_signals(ended)
    threads = {name: _thread(work, name, app) for name, app in apps.items()}
    _wait_for(ended)
    while any(thread.is_alive() for thread in threads.values()):
        for name, thread in threads.items():
            if thread.is_alive():
                apps[name].stop()  # again and again: an application that is only starting forgets the first call
                thread.join(ASK_AGAIN_SECONDS)
    if failures:
        raise failures[0]


def _wait_for(ended: SimpleQueue[None]) -> None:
    """Wait, but look up now and then: a signal's handler is not run where it comes just as an endless wait begins."""
    while True:
        try:
            return ended.get(timeout=LOOK_SECONDS)
        except Empty:
            continue


def _thread(work: Callable[[str, Runnable], None], name: str, app: Runnable) -> threading.Thread:
    thread = threading.Thread(target=contextvars.copy_context().run, args=(work, name, app), name=name, daemon=True)
    thread.start()
    return thread


def _stop_at_signals(ended: SimpleQueue[None]) -> None:
    def interrupted(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        ended.put(None)

    signal.signal(signal.SIGTERM, lambda *_: ended.put(None))
    signal.signal(signal.SIGINT, interrupted)
