"""State that is written a part at a time, so that no checkpoint stops the app while it writes all of it (docs/adr/0034).

Quix writes what changed since the last checkpoint, waits for Kafka to have it, then commits what was read. Here each checkpoint
is a part: it sends the keys whose turn it is, a PARTS-th of them, to the changelog. The next one puts them on disk, since Kafka
has them by then without being waited for, and commits the offset up to which all that was read is in what is written. A crash
leaves some keys ahead of the committed offset, so the app must know by its state what it has taken already, and drop it when
it is read again. What it sent for it was delivered before its state was sent. In a transaction, which is all or nothing, every
checkpoint writes all that changed.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaException, Message, TopicPartition
from quixstreams import Application, State
from quixstreams.checkpointing import Checkpoint
from quixstreams.checkpointing.exceptions import CheckpointConsumerCommitError, CheckpointProducerTimeout
from quixstreams.dataframe import StreamingDataFrame
from quixstreams.state.base import PartitionTransaction

from gridpulse_runtime.hooks import before_checkpoint

__all__ = ["FIRST_PART", "PARTS", "Kept", "KeptStates", "checkpoint_in_parts"]

PARTS = 300
"""Checkpoints in which each key has its turn once."""
COMMIT_SECONDS = 1.0
"""Between two commits of offsets: each is a round trip in which nothing is processed."""
FIRST_PART = 1 / 6
"""Of the interval, until all is written for the first time after an assignment: a replica killed before reads it again."""


class Kept:
    """The state of one message key, of one partition. What is set goes out with the next checkpoint."""

    __slots__ = ("_state", "_underway", "key", "place", "since", "slot")

    def __init__(self, state: Callable[[], State], place: tuple[str, int], key: bytes, slot: int) -> None:
        self._state, self.place, self.key, self.slot = state, place, key, slot
        self.since: int | None = None
        """Offset of the first message that may have changed what is not saved yet."""
        self._underway: dict[bytes, bytes | None] = {}
        """What was set and is not on disk yet, where it is read from."""

    def get_bytes(self, key: bytes) -> bytes | None:
        """Value of `key`, None where there is none."""
        if key in self._underway:
            return self._underway[key]
        value: bytes | None = self._state().get_bytes(key)
        return value

    def set_bytes(self, key: bytes, value: bytes) -> None:
        """Set `key`."""
        self._state().set_bytes(key, value)
        self._underway[key] = value

    def delete(self, key: bytes) -> None:
        """Remove `key`."""
        self._state().delete(key)
        self._underway[key] = None

    def arrived(self) -> None:
        """What was set is on disk."""
        self._underway.clear()


class Turns:
    """Whose turn it is: each of PARTS slots once in `interval` seconds.

    In the first round in FIRST_PART of that, so that a replica that is killed again and again gets forward.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._turned, self._turned_at, self._slots = 0.0, time.monotonic(), 0

    def due(self) -> list[int]:
        """Slots whose turn has come since the last call."""
        now = time.monotonic()
        interval = self._interval if self._slots >= PARTS else FIRST_PART * self._interval
        self._turned += PARTS * (now - self._turned_at) / interval
        number = min(PARTS, int(self._turned))
        due = [slot % PARTS for slot in range(self._slots, self._slots + number)]
        self._turned, self._turned_at, self._slots = self._turned % 1, now, self._slots + number
        return due


class KeptStates:
    """States of the keys of one topic, each the same object for as long as it is kept.

    One is forgotten when it was not asked for since its last turn, and all when partitions are taken away.
    """

    def __init__(self, interval: float) -> None:
        """For `interval` see Turns."""
        self._interval, self._turns = interval, Turns(interval)
        self._kept: dict[tuple[int, bytes], Kept] = {}
        self._slots: list[dict[Kept, None]] = [{} for _ in range(PARTS)]
        self._next_slot = 0
        self._read: dict[tuple[str, int], int] = {}
        """Offset after the last message of each partition."""
        self._committed: dict[tuple[str, int], int] = {}
        self._commit_seconds, self._committed_at = min(COMMIT_SECONDS, interval), 0.0
        self._saved: list[Kept] = []
        self._underway: list[PartitionTransaction] = []
        """What Kafka was sent and the disk has not got yet."""

    def serve(
        self, app: Application, frame: StreamingDataFrame, save: Callable[[Kept], None], forget: Callable[[Kept], None]
    ) -> None:
        """Keep the states of `frame`. `save` writes what is known of one into it; after `forget` it is not used any more."""
        frame.register_store()
        self._app, self._stream, self._save, self._forget = app, frame.stream_id, save, forget
        before_checkpoint(app, self.save_all)

    def of(self, message: Message) -> Kept:
        """State of the key of `message`, which is about to be processed."""
        partition, key = message.partition(), message.key()
        kept = self._kept.get((partition, key))
        if kept is None:
            kept = self._keep(message.topic(), partition, key)
        if kept.since is None:
            kept.since = message.offset()
        return kept

    def _keep(self, topic: str, partition: int, key: bytes) -> Kept:
        context = self._app._processing_context  # noqa: SLF001
        if not self._kept:
            self._turns = Turns(self._interval)

        def state() -> State:
            return context.checkpoint.get_store_transaction(self._stream, partition).as_state(key)

        kept = self._kept[partition, key] = Kept(state, (topic, partition), key, self._next_slot)
        self._slots[self._next_slot][kept] = None
        self._next_slot = (self._next_slot + 1) % PARTS
        return kept

    def last_read(self) -> dict[tuple[str, int], int]:
        """Offset of the last message of each partition that had some."""
        return {place: offset - 1 for place, offset in self._read.items()}

    def read(self, offsets: dict[tuple[str, int], int]) -> None:
        """Note the offset of the last message of each partition that had some."""
        self._read.update((place, offset + 1) for place, offset in offsets.items())

    def save_due(self) -> None:
        """Save those whose turn has come; forget those that nobody asked for."""
        for slot in self._turns.due():
            for kept in list(self._slots[slot]):
                self._save_or_forget(kept)

    def save_all(self) -> None:
        """Save all that may have changed; forget those that nobody asked for. What was saved before is on disk."""
        self._arrived()
        for kept in list(self._kept.values()):
            self._save_or_forget(kept)

    def _save_or_forget(self, kept: Kept) -> None:
        if kept.since is not None:
            self._save(kept)
            kept.since = None
            self._saved.append(kept)
            return
        del self._slots[kept.slot][kept]
        del self._kept[kept.place[1], kept.key]
        self._forget(kept)

    def _arrived(self) -> None:
        for kept in self._saved:
            kept.arrived()
        self._saved.clear()

    def sent(self, transactions: Iterable[PartitionTransaction]) -> None:
        """Note that Kafka is sent what `transactions` hold."""
        self._underway.extend(transactions)

    def to_disk(self, produced: Mapping[tuple[str, int], int]) -> None:
        """Put on disk what was sent: Kafka has it, up to the offset `produced` of each changelog partition."""
        for transaction in self._underway:
            place = transaction.changelog_topic_partition
            transaction.flush(changelog_offset=produced.get(place) if place is not None else None)
        self._underway.clear()
        self._arrived()

    def forget_all(self) -> None:
        """Forget all, saved or not, with what was read."""
        for kept in self._kept.values():
            self._forget(kept)
        for kind in (self._kept, self._saved, self._underway):
            kind.clear()
        for slot in self._slots:
            slot.clear()
        self._read.clear()
        self._committed.clear()

    def saved_to(self) -> dict[tuple[str, int], int]:
        """Offset of each partition up to which everything is saved."""
        upto = dict(self._read)
        for kept in self._kept.values():
            if kept.since is not None:
                upto[kept.place] = min(upto[kept.place], kept.since)
        return upto

    def commit(self, commit: Callable[[list[TopicPartition]], None]) -> None:
        """Have `commit` called with what is saved, all of which Kafka has, where that is more than was committed a while ago."""
        if time.monotonic() - self._committed_at < self._commit_seconds:
            return
        self._committed_at = time.monotonic()
        saved = self.saved_to()
        new = [TopicPartition(*place, offset) for place, offset in saved.items() if self._committed.get(place) != offset]
        if new:
            commit(new)
        self._committed = saved

    @property
    def settled(self) -> bool:
        """Whether all that was read is saved, on disk and committed."""
        return not self._underway and self._committed == self._read


class PartialCheckpoint(Checkpoint):
    """A checkpoint that writes the states whose turn has come, or all of them where it is `whole` or partitions go."""

    def __init__(self, states: KeptStates, **options: Any) -> None:
        super().__init__(**options)
        self._states = states
        self.whole = False

    def empty(self) -> bool:
        """Whether there is nothing to be done."""
        return super().empty() and self._states.settled

    def commit(self, *, revoking: bool = False) -> None:
        """Put the part before on disk, commit what is saved, send this part. Raises as Quix's does."""
        self._states.read(self._tp_offsets)
        if not revoking:
            left = self._producer.flush()  # the part before; and what these messages led to, which goes before their state
            if left:
                raise CheckpointProducerTimeout(f"{left} messages could not be sent in time")
            self._states.to_disk(self._producer.offsets)
        if self.whole:
            self._tp_offsets: dict[tuple[str, int], int] = self._states.last_read()
            super().commit(revoking=revoking)
            return
        self._states.commit(self._commit_offsets)
        self._states.save_due()
        for transaction in self._store_transactions.values():
            transaction.prepare(processed_offsets=None)  # to be used in a recovery whatever is committed
        self._states.sent(self._store_transactions.values())

    def _commit_offsets(self, offsets: list[TopicPartition]) -> None:
        try:
            places = self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            raise CheckpointConsumerCommitError(error.args[0]) from None
        for place in places or ():
            if place.error:
                raise CheckpointConsumerCommitError(place.error)


def checkpoint_in_parts(app: Application, states: KeptStates) -> None:
    """Have checkpoints of `app` write a part of `states`; the last one, and one where partitions are taken away, all of them.

    Before anything else that wraps them. Uses Quix's private factory of them, hence the pinned version.
    """
    context = app._processing_context  # noqa: SLF001
    commit = context.commit_checkpoint

    def init_checkpoint() -> None:
        context._checkpoint = PartialCheckpoint(  # noqa: SLF001
            states,
            commit_interval=context.commit_interval,
            commit_every=context.commit_every,
            state_manager=context.state_manager,
            producer=context.producer,
            consumer=context.consumer,
            sink_manager=context.sink_manager,
            dataframe_registry=context.dataframe_registry,
            revoke_flush_timeout=context.revoke_flush_timeout,
        )

    def commit_checkpoint(*, force: bool = False, revoking: bool = False) -> None:
        context.checkpoint.whole = force
        commit(force=force, revoking=revoking)

    context.init_checkpoint, context.commit_checkpoint = init_checkpoint, commit_checkpoint
