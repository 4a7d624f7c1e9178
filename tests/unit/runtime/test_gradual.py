"""State written in parts: whose turn it is, what may be committed, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from hypothesis import given
from hypothesis import strategies as st
from quixstreams.checkpointing.exceptions import CheckpointConsumerCommitError, CheckpointProducerTimeout

from gridpulse_runtime import gradual
from gridpulse_runtime.gradual import COMMIT_SECONDS, FIRST_PART, PARTS, Kept, KeptStates, Turns, checkpoint_in_parts

PLACE = ("t", 0)


class Clock:
    """Seconds, as `time.monotonic` gives them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(gradual, "time", clock)
    return clock


def turns(clock: Clock, one: Turns, seconds: float, step: float) -> list[int]:
    due = []
    for _ in range(round(seconds / step)):
        clock.now += step
        due += one.due()
    return due


def test_all_have_their_turn_soon_and_then_once_in_the_interval(clock: Clock) -> None:
    one = Turns(interval=150)
    assert turns(clock, one, FIRST_PART * 150 + 0.0625, 0.0625) == list(range(PARTS))
    for _ in range(3):
        assert sorted(turns(clock, one, 150, 0.0625)) == list(range(PARTS))


def test_after_a_long_pause_all_have_their_turn_once(clock: Clock) -> None:
    one = Turns(interval=30)
    clock.now += 1e4
    assert one.due() == list(range(PARTS))
    clock.now += 1e4
    assert sorted(one.due()) == list(range(PARTS))


@dataclass
class App:
    """As much of Quix's application as checkpoints touch; `done` tells what was done, in order."""

    states: KeptStates
    done: list[Any] = field(default_factory=list)
    undelivered: int = 0
    refused: KafkaError | None = None
    stored: dict[bytes, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sinks: list[Any] = []
        self.transaction = SimpleNamespace(
            changelog_topic_partition=("changelog", 0),
            changed=False,
            failed=False,
            as_state=lambda key: SimpleNamespace(
                get_bytes=lambda name: self.stored.get(key + name),
                set_bytes=lambda name, value: self.stored.update({key + name: value}),
                delete=lambda name: self.stored.pop(key + name, None),
            ),
            prepare=lambda processed_offsets: self.done.append(("prepare", processed_offsets)),
            flush=lambda changelog_offset: self.done.append(("disk", changelog_offset)),
        )
        self._consumer = SimpleNamespace(commit=self.commit)
        self._processing_context = SimpleNamespace(
            commit_interval=1e9,
            commit_every=0,
            revoke_flush_timeout=-1.0,
            state_manager=SimpleNamespace(
                get_store=lambda **_: SimpleNamespace(start_partition_transaction=lambda **_: self.transaction)
            ),
            producer=SimpleNamespace(flush=self.flush, offsets={("changelog", 0): 7}),
            consumer=self._consumer,
            sink_manager=SimpleNamespace(register=sinks.append, sinks=sinks),
            dataframe_registry=SimpleNamespace(get_topics_for_stream_id=lambda **_: ["t"]),
            commit_checkpoint=self.commit_checkpoint,
        )
        checkpoint_in_parts(self, self.states)  # type: ignore[arg-type]
        frame = SimpleNamespace(register_store=lambda: None, stream_id="t")
        self.states.serve(self, frame, self.save, lambda kept: self.done.append(("forget", kept.key)))  # type: ignore[arg-type]
        self.context.init_checkpoint()

    @property
    def context(self) -> Any:
        context = self._processing_context
        context.checkpoint = getattr(context, "_checkpoint", None)
        return context

    def commit_checkpoint(self, *, revoking: bool, **_: bool) -> None:
        """What Quix's does."""
        if not self.context.checkpoint.empty():
            self.context.checkpoint.commit(revoking=revoking)
        self.context.init_checkpoint()

    def save(self, kept: Kept) -> None:
        kept.set_bytes(b"", b"saved")
        self.done.append(("save", kept.key))

    def flush(self, **_: float) -> int:
        self.done.append("delivered")
        return self.undelivered

    def commit(self, offsets: list[TopicPartition], **_: bool) -> list[TopicPartition]:
        self.done.append({(place.topic, place.partition): place.offset for place in offsets})
        if self.refused is not None:
            raise KafkaException(self.refused)
        return offsets

    def take(self, offset: int, key: bytes = b"k", partition: int = 0) -> Kept:
        message = SimpleNamespace(topic=lambda: "t", partition=lambda: partition, offset=lambda: offset, key=lambda: key)
        kept = self.states.of(message)  # type: ignore[arg-type]
        self.context.checkpoint.store_offset("t", partition, offset)
        return kept

    def part(self, *, force: bool = False, revoking: bool = False) -> list[Any]:
        """End a checkpoint; what was done for it."""
        self.done.clear()
        self.context.commit_checkpoint(force=force, revoking=revoking)
        return list(self.done)


@pytest.fixture
def app(clock: Clock) -> App:
    return App(KeptStates(interval=PARTS))


def test_what_was_sent_is_delivered_before_the_state_and_that_before_the_commit(app: App, clock: Clock) -> None:
    app.take(5)
    clock.now += PARTS
    assert app.part() == ["delivered", {PLACE: 5}, ("save", b"k"), ("prepare", None)]
    clock.now += COMMIT_SECONDS
    assert app.part()[:3] == ["delivered", ("disk", 7), {PLACE: 6}]
    assert app.part() == [], "nothing is left to do"


def test_offsets_are_committed_now_and_then(app: App, clock: Clock) -> None:
    app.take(0)
    assert {PLACE: 0} in app.part()
    clock.now += 0.9 * COMMIT_SECONDS
    assert not any(isinstance(what, dict) for what in app.part())
    clock.now += 0.2 * COMMIT_SECONDS
    assert {PLACE: 1} in app.part()


def test_what_is_on_its_way_to_the_disk_is_read_all_the_same(app: App, clock: Clock) -> None:
    kept = app.take(0)
    clock.now += PARTS
    app.part()
    app.stored.clear()  # a transaction that is not finished is not seen by the next one
    assert kept.get_bytes(b"") == b"saved"
    kept.delete(b"")
    assert kept.get_bytes(b"") is None
    app.part()
    app.stored[b"k"] = b"on disk"
    assert kept.get_bytes(b"") == b"on disk"


def test_only_that_is_committed_which_everyone_before_it_is_saved_for(app: App, clock: Clock) -> None:
    app.take(0, b"a")
    app.take(1, b"b")
    app.take(2, b"a")
    app.take(9, b"c", partition=1)
    clock.now += 1.01 * FIRST_PART
    assert app.part() == ["delivered", {PLACE: 0, ("t", 1): 9}, ("save", b"a"), ("prepare", None)]
    app.take(3, b"a")
    clock.now += 1.01 * FIRST_PART
    assert app.part() == ["delivered", ("disk", 7), ("save", b"b"), ("prepare", None)]
    assert app.states.saved_to() == {PLACE: 3, ("t", 1): 9}


def test_the_last_one_is_whole(app: App) -> None:
    app.take(0, b"a")
    app.take(1, b"b")
    saved = [("save", b"a"), ("save", b"b")]
    assert app.part(force=True) == ["delivered", *saved, ("prepare", {"t": 1}), "delivered", {PLACE: 2}, ("disk", 7)]


def test_a_whole_one_commits_what_parts_before_it_have_read(app: App, clock: Clock) -> None:
    app.take(0, b"a")
    app.take(1, b"b")
    clock.now += 1.01 * FIRST_PART
    app.part()
    done = app.part(force=True)
    assert done[:2] == ["delivered", ("disk", 7)], "the part before"
    assert {PLACE: 2} in done


def test_partitions_go_with_all_of_it_in_the_changelog(app: App) -> None:
    app.take(0)
    done = app.part(force=True, revoking=True)
    assert {PLACE: 1} in done
    assert ("disk", 7) not in done, "who has them next reads the changelog"
    assert done.count("delivered") == 1, "and waits for one thing only"


def test_one_object_until_nobody_asks_for_it(app: App, clock: Clock) -> None:
    first = app.take(0)
    clock.now += PARTS
    app.part()
    assert app.take(1) is first
    clock.now += PARTS
    app.part()
    app.take(2, b"other")
    clock.now += PARTS
    assert ("forget", b"k") in app.part()
    assert app.take(3) is not first


def test_forgotten_with_the_partitions(app: App) -> None:
    first = app.take(0)
    app.states.forget_all()
    assert app.done == [("forget", b"k")]
    assert app.states.saved_to() == {}
    assert app.take(1) is not first


def test_nothing_is_committed_of_what_could_not_be_delivered(app: App, clock: Clock) -> None:
    app.take(0)
    clock.now += PARTS
    app.undelivered = 3
    with pytest.raises(CheckpointProducerTimeout, match="3 messages"):
        app.part()
    assert app.done == ["delivered"]


def test_a_refused_commit_is_told(app: App, clock: Clock) -> None:
    app.take(0)
    clock.now += PARTS
    app.refused = KafkaError(KafkaError.ILLEGAL_GENERATION)
    with pytest.raises(CheckpointConsumerCommitError):
        app.part()


@given(st.lists(st.one_of(st.tuples(st.integers(0, 9), st.integers(0, 2)), st.floats(0, 40)), max_size=60))
def test_nothing_unsaved_is_ever_committed(moves: list[Any]) -> None:
    """Keys get messages, or time passes and a part is written: below the committed offset all is in what is saved."""
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradual, "time", clock)
        app = App(KeptStates(interval=PARTS))
        offsets, unsaved = [0, 0, 0], dict[tuple[int, int], int]()
        for move in moves:
            if isinstance(move, tuple):
                number, partition = move
                app.take(offsets[partition], b"%d" % number, partition)
                unsaved.setdefault((partition, number), offsets[partition])
                offsets[partition] += 1
                continue
            clock.now += move
            done = app.part()
            for kept in app.states._kept.values():
                if kept.since is None:
                    unsaved.pop((kept.place[1], int(kept.key)), None)
            for committed in (what for what in done if isinstance(what, dict)):
                for (_, partition), offset in committed.items():
                    assert offset <= min((at for (of, _), at in unsaved.items() if of == partition), default=offsets[partition])
        app.part(force=True)
        assert app.states.saved_to() == {("t", partition): offset for partition, offset in enumerate(offsets) if offset}
