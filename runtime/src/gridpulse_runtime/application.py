"""A Quix Streams application with the settings that were measured to matter (docs/adr), and its health."""

import gc
import socket
import threading
import time
from collections.abc import Callable, Collection, Hashable
from functools import cached_property
from typing import Any

import stamina
import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from quixstreams import Application, State
from quixstreams.kafka import ConnectionConfig
from quixstreams.models import Topic, TopicAdmin, TopicConfig, TopicManager
from quixstreams.sinks import BaseSink
from quixstreams.state.rocksdb import RocksDBOptions

from gridpulse_runtime.health import Health
from gridpulse_runtime.kafka import PRODUCER
from gridpulse_runtime.metrics import AppMetrics
from gridpulse_runtime.settings import CLIENT, AppSettings
from gridpulse_runtime.straight import StraightLoop
from gridpulse_runtime.watermarks import Place, Watermarks
from gridpulse_schemas.topics import TOPICS

__all__ = [
    "StreamApplication",
    "before_checkpoint",
    "bytes_topic",
    "each_turn",
    "end_checkpoint_in",
    "group_of",
    "make_application",
    "transaction_of",
    "watch",
]

log = structlog.get_logger(__name__)
POLL_SECONDS = 0.01
"""Longest wait for a message: bounds the delay of checkpoints, ticks and SIGTERM on an idle partition."""

CHANGELOG = {
    "segment.bytes": "33554432",
    "segment.ms": "600000",
    "min.cleanable.dirty.ratio": "0.2",
    "delete.retention.ms": "3600000",
}
"""The broker compacts closed segments only, 1 GiB by default: with these a recovery reads little more than the state itself."""
MB = 1 << 20
ROCKSDB = RocksDBOptions(
    write_buffer_size=4 * MB, max_write_buffer_number=2, target_file_size_base=16 * MB, block_cache_size=32 * MB
)
"""Quix's own let a state of 30 MB take a gigabyte: 64 MB to be written for each partition, 1 GiB of cache for what was read."""
COLLECT_SECONDS = 5.0
"""A checkpoint is part of a cycle that holds RocksDB's batches: megabytes that Python's collector does not see."""
PROMPT: dict[str, Any] = {"fetch.wait.max.ms": 50}
"""A fetch that finds nothing ends after this, or with the next record; what is asked over the same connection waits for it."""
IN_BULK: dict[str, Any] = {"fetch.min.bytes": 1_000_000, "fetch.wait.max.ms": 250}
HEARTBEAT_SECONDS = 1.5
"""A rebalance is heard of with the next heartbeat."""
FIRST_PART = 1 / 6
"""Of the interval, until the first checkpoint after an assignment: a replica that is killed before it reads the same again."""
COMMIT_PATIENCE = 20.0
COORDINATOR_AWAY = (
    KafkaError._WAIT_COORD,  # noqa: SLF001  their names
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
)
"""A commit that fails so may be made again: the same offsets, and a member that lost its place is told then."""


class StreamApplication(StraightLoop):
    """An Application that may run in any thread: signals are the main thread's (see together.py).

    A commit waits COMMIT_PATIENCE seconds for a broker that is restarting, instead of ending the app at once. Where partitions
    begin and end is asked for all of an assignment at once (watermarks.py). The first checkpoint after an assignment comes soon.
    Changelog topics are compacted early, so that what a lost state is rebuilt from stays small.
    """

    _newly_assigned = False

    def _run_dataframe(self, sink: Any = None) -> None:
        """Quix's loop. What lives as long as the program is left out of collections from here on, which makes them quick."""
        gc.collect()
        gc.freeze()
        super()._run_dataframe(sink)

    def _get_topic_manager(self) -> TopicManager:
        self._topic_manager_factory = CompactChangelogs
        manager = super()._get_topic_manager()
        manager._admin = OneClient(self._config.broker_address, extra_config=self._config.producer_extra_config)  # noqa: SLF001
        return manager

    def _get_internal_consumer(self, *args: Any, **options: Any) -> Any:
        consumer = super()._get_internal_consumer(*args, **options)
        consumer.commit = patient(consumer.commit)
        self._watermarks = Watermarks(consumer.get_watermark_offsets, lambda: self._topic_manager._admin.admin_client)  # noqa: SLF001
        consumer.get_watermark_offsets = self._watermarks
        return consumer

    def ends(self, places: Collection[Place], patience: float) -> dict[Place, int]:
        """The offset after the last committed record of each of `places`, as Kafka says now.

        Raises KafkaException where it does not say within `patience` seconds.
        """
        return self._watermarks.ends(places, patience)

    def _assign_partitions(self, topic_partitions: list[TopicPartition]) -> None:
        with self._watermarks.of(topic_partitions):
            super()._assign_partitions(topic_partitions)
        self._newly_assigned = True

    def checkpoint_soon(self) -> None:
        """Let the first checkpoint after an assignment come soon. Called each turn, so not before state is recovered."""
        if self._newly_assigned:
            self._newly_assigned = False
            end_checkpoint_in(self, FIRST_PART * self._config.commit_interval)

    def _setup_signal_handlers(self) -> None:
        if threading.current_thread() is threading.main_thread():
            super()._setup_signal_handlers()


class OneClient(TopicAdmin):
    """Asks over one connection. Quix makes a client for each question: it takes one whose queue is empty for none."""

    @cached_property
    def admin_client(self) -> AdminClient:
        """Connects lazily."""
        return AdminClient(self._config)


class CompactChangelogs(TopicManager):
    """Makes changelog topics by CHANGELOG."""

    def changelog_topic(self, stream_id: str | None, store_name: str, config: TopicConfig) -> Topic:
        """As Quix does."""
        config.extra_config.update(CHANGELOG)
        return super().changelog_topic(stream_id, store_name, config)


def patient(commit: Callable[..., Any]) -> Callable[..., Any]:
    """`commit`, made again for a while where no coordinator answers. Raises what it raises in the end."""

    @stamina.retry(on=_may_pass, attempts=None, timeout=COMMIT_PATIENCE, wait_initial=0.1, wait_max=1.0)
    def again(*args: Any, **options: Any) -> Any:
        committed = commit(*args, **options)
        for place in committed or ():
            if place.error is not None and place.error.code() in COORDINATOR_AWAY:
                raise KafkaException(place.error)
        return committed

    return again


def _may_pass(error: Exception) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() in COORDINATOR_AWAY


def group_of(settings: AppSettings, name: str, part: str | None = None) -> str:
    """Consumer group of the app `name`, or of one `part` of it that keeps its own progress."""
    group = settings.consumer_group or f"gridpulse-{name}"
    return group if part is None else f"{group}-{part}"


def make_application(
    settings: AppSettings,
    name: str,
    metrics: AppMetrics,
    *,
    part: str | None = None,
    commit_interval: float | None = None,
    commit_every: int = 10_000,
    exactly_once_offered: bool = True,
    in_bulk: bool = False,
) -> StreamApplication:
    """Application of consumer group `gridpulse-<name>` that starts at the earliest offset and never deletes local state.

    `part`: one of several in this process (together.py), with the consumer group `gridpulse-<name>-<part>`, and so with offsets
    and state of its own. `commit_every` 0: only the interval counts. `in_bulk`: records are fetched by the megabyte, or after a
    quarter of a second, rather than each as it comes, which costs broker and app less. Topics must exist (ensure_topics);
    changelog topics are made by Quix.
    """
    consumer = {
        **CLIENT,
        "session.timeout.ms": int(settings.session_seconds * 1000),
        "heartbeat.interval.ms": int(min(HEARTBEAT_SECONDS, settings.session_seconds / 4) * 1000),
        **(IN_BULK if in_bulk else PROMPT),
        "fetch.message.max.bytes": 4_194_304,
        "fetch.max.bytes": 8_388_608,  # an answer stays in memory until the last of its records is taken
        "queued.max.messages.kbytes": 16_384,  # half a second of what the quickest app takes; a backlog fills it in each of them
        "statistics.interval.ms": 1000,
        "stats_cb": metrics.take_statistics,
    }
    if settings.instance_id:
        consumer["group.instance.id"] = f"{name}-{settings.instance_id}"
    commit_interval = commit_interval or settings.commit_interval
    guarantee = settings.processing_guarantee if exactly_once_offered else "at-least-once"
    producer = PRODUCER | CLIENT
    if guarantee == "exactly-once":
        producer |= {
            "transactional.id": transactional_id(settings, name, part),
            "transaction.timeout.ms": int(1000 * (commit_interval + COMMIT_PATIENCE)),  # it lasts from one checkpoint to the next
        }
    count = _counter(metrics)
    connection = {key.replace(".", "_"): value for key, value in settings.kafka_connection().items()}
    app = StreamApplication(
        broker_address=ConnectionConfig(**connection),
        consumer_group=group_of(settings, name, part),
        auto_offset_reset="earliest",
        commit_interval=commit_interval,
        commit_every=commit_every,
        consumer_extra_config=consumer,
        producer_extra_config=producer,
        state_dir=settings.state_dir / name,
        consumer_poll_timeout=POLL_SECONDS,
        loglevel=None,
        auto_recover_from_source_offset_out_of_range=False,
        processing_guarantee=guarantee,
        broker_availability_timeout=0,
        rocksdb_options=ROCKSDB,
        on_message_processed=lambda topic, *_: count(topic, 1),
        on_turn=count,
    )
    tell_checkpoints(app, metrics)
    each_turn(app, gc.collect, every=COLLECT_SECONDS)
    each_turn(app, app.checkpoint_soon)
    return app


def transactional_id(settings: AppSettings, name: str, part: str | None = None) -> str:
    """One that no other running replica has, since Kafka ends whoever had it before: by host and port where it has no name."""
    replica = settings.instance_id or f"{socket.gethostname()}-{settings.metrics_port}"
    return "-".join(filter(None, (name, part, replica)))


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


def _counter(metrics: AppMetrics) -> Callable[[str, int], None]:
    children: dict[str, Any] = {}

    def count(topic: str, number: int) -> None:
        child = children.get(topic)
        if child is None:
            child = children[topic] = metrics.messages.labels(topic)
        child.inc(number)

    return count


def bytes_topic(app: Application, name: str) -> Topic:
    """Topic of the manifest, whose keys and values stay bytes."""
    assert name in TOPICS  # noqa: S101  a name from gridpulse_schemas.topics
    return app.topic(
        name,
        key_deserializer="bytes",
        value_deserializer="bytes",
        key_serializer="bytes",
        value_serializer="bytes",
    )


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


def transaction_of(state: State) -> tuple[Hashable, bytes]:
    """What the writes to `state` belong to until the next checkpoint, and whose keys they are."""
    return state._transaction, state._prefix  # noqa: SLF001  TransactionState is the only kind


def end_checkpoint_in(app: Application, seconds: float) -> None:
    """Let the running checkpoint end `seconds` from now. Called in the processing loop; uses Quix's private clock."""
    checkpoint = app._processing_context.checkpoint  # noqa: SLF001
    checkpoint._created_at = time.monotonic() + seconds - checkpoint._commit_interval  # noqa: SLF001
