"""Quix's Application where ours differs: in a thread, with a broker that restarts, at an assignment, in its changelogs."""

import gc
import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import cached_property
from typing import Any

import stamina
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from quixstreams.models import Topic, TopicAdmin, TopicConfig, TopicManager

from gridpulse_runtime.gradual import FIRST_PART, KeptStates
from gridpulse_runtime.hooks import end_checkpoint_in
from gridpulse_runtime.straight import StraightLoop
from gridpulse_runtime.watermarks import Place, Watermarks

__all__ = ["COMMIT_PATIENCE", "StreamApplication", "ask_for_topics", "patient", "where_committed"]

CHANGELOG = {
    "segment.bytes": "33554432",
    "segment.ms": "600000",
    "min.cleanable.dirty.ratio": "0.2",
    "delete.retention.ms": "3600000",
}
"""The broker compacts closed segments only, 1 GiB by default: with these a recovery reads little more than the state itself."""
COMMIT_PATIENCE = 20.0
ASK_SECONDS = 5.0
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

    A commit waits COMMIT_PATIENCE seconds for a broker that is restarting, instead of ending the app at once. Where an assigned
    partition is read from is asked here (where_committed), and where it begins and ends of all at once (watermarks.py). The first
    checkpoint after an assignment comes soon. Changelog topics are compacted early, so that what a lost state is rebuilt from
    stays small. Where the topics it writes to lie is asked before it reads (ask_for_topics).
    """

    _newly_assigned = False
    states: KeptStates | None = None
    """For an app that keeps them."""

    def _run_dataframe(self, sink: Any = None) -> None:
        """Quix's loop. What lives as long as the program is left out of collections from here on, which makes them quick."""
        read = {topic.name for topic in self._dataframe_registry.consumer_topics}
        written = self._topic_manager.all_topics.keys() - read
        if written:
            ask_for_topics(self._producer._producer._producer, written)  # noqa: SLF001  Quix's wrappers of the client
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
            super()._assign_partitions(where_committed(self._consumer, topic_partitions))
        self._newly_assigned = True

    def _on_revoke(self, consumer: Any, topic_partitions: list[TopicPartition]) -> None:
        try:
            super()._on_revoke(consumer, topic_partitions)
        finally:
            if self.states is not None:
                self.states.forget_all()

    def _on_lost(self, consumer: Any, topic_partitions: list[TopicPartition]) -> None:
        super()._on_lost(consumer, topic_partitions)
        if self.states is not None:
            self.states.forget_all()
            if not self._processing_context.exactly_once:
                self._processing_context.init_checkpoint()

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


def ask_for_topics(producer: Producer, topics: Iterable[str]) -> None:
    """Have `producer` know where the partitions of `topics` lie.

    The first record of a topic it does not know lies in the client for up to a second (0.7 s measured), although the broker tells
    at once; and a checkpoint waits for that record. A broker that does not answer now is not waited for again: those records ask.
    """
    with suppress(KafkaException):
        for topic in topics:
            producer.list_topics(topic, timeout=ASK_SECONDS)


def patient(commit: Callable[..., Any]) -> Callable[..., Any]:
    """`commit`, or a question for what is committed, made again for a while where no coordinator answers.

    Raises what it raises in the end.
    """

    @stamina.retry(on=_may_pass, attempts=None, timeout=COMMIT_PATIENCE, wait_initial=0.1, wait_max=1.0)
    def again(*args: Any, **options: Any) -> Any:
        committed = commit(*args, **options)
        for place in committed or ():
            if place.error is not None and place.error.code() in COORDINATOR_AWAY:
                raise KafkaException(place.error)
        return committed

    return again


def where_committed(consumer: Any, places: list[TopicPartition]) -> list[TopicPartition]:
    """`places`, each with the offset to be read from: what the group has committed, else the beginning.

    A client that is given no offset asks by itself, but only once: where a broker that restarts answers that it is not the
    coordinator any more, the partition is assigned and never read (librdkafka issue 5586). Raises KafkaException where none is
    told within COMMIT_PATIENCE.
    """
    found: list[TopicPartition] = patient(consumer.committed)(places, timeout=ASK_SECONDS)
    for place in found:
        if place.error is not None:
            raise KafkaException(place.error)
        if place.offset < 0:
            place.offset = OFFSET_BEGINNING
    return found


def _may_pass(error: Exception) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() in COORDINATOR_AWAY
