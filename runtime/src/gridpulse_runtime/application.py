"""A Quix Streams application with the settings that were measured to matter (docs/adr)."""

import gc
import socket
from collections.abc import Callable
from typing import Any

from quixstreams import Application
from quixstreams.kafka import ConnectionConfig
from quixstreams.models import Topic
from quixstreams.state.rocksdb import RocksDBOptions

from gridpulse_runtime.gradual import PARTS, KeptStates, checkpoint_in_parts
from gridpulse_runtime.hooks import each_turn, tell_checkpoints
from gridpulse_runtime.kafka import PRODUCER
from gridpulse_runtime.metrics import AppMetrics
from gridpulse_runtime.settings import CLIENT, AppSettings
from gridpulse_runtime.stream_application import COMMIT_PATIENCE, StreamApplication
from gridpulse_schemas.topics import TOPICS

__all__ = ["bytes_topic", "group_of", "make_application", "transactional_id"]

POLL_SECONDS = 0.01
"""Longest wait for a message: bounds the delay of checkpoints, ticks and SIGTERM on an idle partition."""

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
    tell_ends: bool = False,
    subscription: int = 1,
    in_parts: bool = False,
) -> StreamApplication:
    """Application of consumer group `gridpulse-<name>` that starts at the earliest offset and never deletes local state.

    `part`: one of several in this process (together.py), with the consumer group `gridpulse-<name>-<part>`, and so with offsets
    and state of its own. `commit_every` 0: only the interval counts. `in_bulk`: records are fetched by the megabyte, or after a
    quarter of a second, rather than each as it comes, which costs broker and app less. `tell_ends`: `read_through` is kept, for
    an app that takes its topics straight. `subscription`: another number whenever the topics it reads or keeps state in are other
    ones than in the version before: Kafka gives a member that comes back under its name the partitions it had subscribed to, and
    Quix fails at those it does not know. `in_parts`: the app has `states`, and without transactions its checkpoints write them
    in parts (gradual.py). Topics must exist (ensure_topics); changelog topics are made by Quix.
    """
    consumer = {
        **CLIENT,
        "session.timeout.ms": int(settings.session_seconds * 1000),
        "heartbeat.interval.ms": int(min(HEARTBEAT_SECONDS, settings.session_seconds / 4) * 1000),
        **(IN_BULK if in_bulk else PROMPT),
        "fetch.message.max.bytes": 4_194_304,
        "fetch.max.bytes": 8_388_608,  # an answer stays in memory until the last of its records is taken
        "queued.max.messages.kbytes": 16_384,  # half a second of what the quickest app takes; a backlog fills it in each of them
        "enable.partition.eof": tell_ends,
        "statistics.interval.ms": 1000,
        "stats_cb": metrics.take_statistics,
    }
    if settings.instance_id:
        known_as = f"{name}-{settings.instance_id}"
        consumer["group.instance.id"] = known_as if subscription == 1 else f"{known_as}-{subscription}"
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
    whole = guarantee == "exactly-once" or not in_parts
    app = StreamApplication(
        broker_address=ConnectionConfig(**connection),
        consumer_group=group_of(settings, name, part),
        auto_offset_reset="earliest",
        commit_interval=commit_interval if whole else commit_interval / PARTS,
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
    if in_parts:
        app.states = KeptStates(commit_interval)
        if not whole:
            checkpoint_in_parts(app, app.states)
    if whole:
        each_turn(app, app.checkpoint_soon)
    tell_checkpoints(app, metrics)
    each_turn(app, gc.collect, every=COLLECT_SECONDS)
    return app


def transactional_id(settings: AppSettings, name: str, part: str | None = None) -> str:
    """One that no other running replica has, since Kafka ends whoever had it before: by host and port where it has no name."""
    replica = settings.instance_id or f"{socket.gethostname()}-{settings.metrics_port}"
    return "-".join(filter(None, (name, part, replica)))


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
