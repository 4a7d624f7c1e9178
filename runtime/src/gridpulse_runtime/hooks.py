"""What hangs in the loop, checkpoints and state of a Quix application, by its private names: hence the pinned version."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quixstreams import Application
from quixstreams.sinks import BaseSink

from gridpulse_runtime.health import Health
from gridpulse_runtime.metrics import AppMetrics

if TYPE_CHECKING:
    from confluent_kafka import TopicPartition

__all__ = ["before_checkpoint", "each_turn", "end_checkpoint_in", "tell_checkpoints", "watch"]


def each_turn(app: Application, task: Callable[[], object], every: float = 0.0) -> None:
    """Call `task` from the processing loop, between messages, at most once in `every` seconds.

    The loop turns at least each POLL_SECONDS; not while state is recovered. Uses Quix's private hook, hence the pinned version.
    """
    due = 0.0

    def turn() -> None:
        nonlocal due
        now = time.monotonic()
        if now >= due:
            due = now + every
            task()

    app._dataframe_registry.register_periodic_task(turn)  # noqa: SLF001


def watch(app: Application, health: Health) -> None:
    """Tell `health` when the loop turns, and that readiness means assigned and recovered."""
    each_turn(app, health.beat, every=0.5)
    assigned = False

    def look() -> None:
        nonlocal assigned
        assigned = bool(app._consumer.assignment())  # noqa: SLF001

    each_turn(app, look, every=0.5)
    health.add("partitions", lambda: None if assigned else "no partition is assigned to this replica yet")
    health.add("state", lambda: "state is being recovered" if app._state_manager.recovery_required else None)  # noqa: SLF001


class _Flushed(BaseSink):
    """A sink that nothing goes into: a checkpoint flushes sinks before it writes state."""

    def __init__(self, task: Callable[[], None]) -> None:
        super().__init__()
        self._task = task

    def add(self, *_: Any, **__: Any) -> None:
        """Take nothing."""

    def flush(self) -> None:
        """Do the task."""
        self._task()


def before_checkpoint(app: Application, task: Callable[[], None]) -> None:
    """Call `task` at each checkpoint, before the state is written; where it raises, nothing is committed."""
    app._processing_context.sink_manager.register(_Flushed(task))  # noqa: SLF001


def end_checkpoint_in(app: Application, seconds: float) -> None:
    """Let the running checkpoint end `seconds` from now. Called in the processing loop; uses Quix's private clock."""
    checkpoint = app._processing_context.checkpoint  # noqa: SLF001
    checkpoint._created_at = time.monotonic() + seconds - checkpoint._commit_interval  # noqa: SLF001


def tell_checkpoints(app: Application, metrics: AppMetrics) -> None:
    """Have each checkpoint of `app` timed, and the time of the last complete one told. Wraps Quix's private factory of them."""
    context, consumer = app._processing_context, app._consumer  # noqa: SLF001
    make = context.init_checkpoint
    owed: set[TopicPartition] = set()
    """Partitions whose sink was not ready: what was read of them is uncommitted, and read again."""

    def complete() -> None:
        if not owed:
            metrics.checkpointed.set(time.time())

    def init_checkpoint() -> None:
        make()
        commit, close = context.checkpoint.commit, context.checkpoint.close

        def timed_commit(**options: Any) -> None:
            started = time.perf_counter()
            commit(**options)
            metrics.checkpoint.observe(time.perf_counter() - started)
            owed.clear()
            owed.update(consumer.backpressured_tps)
            complete()

        def told_close(**options: Any) -> None:
            close(**options)
            if owed:
                owed.intersection_update(consumer.assignment())
            complete()

        context.checkpoint.commit, context.checkpoint.close = timed_commit, told_close

    context.init_checkpoint = init_checkpoint
    metrics.checkpointed.set(time.time())
