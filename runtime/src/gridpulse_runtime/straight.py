"""The hot path's own loop: messages go straight to a function, and only what it returns goes into Quix's graph.

For each message Quix makes a row of some twenty objects, enters two contexts and looks after every duty of its loop: 70 to 100 µs
(measured), as much as judging 100 readings takes. Here a turn takes whatever is waiting, up to TURN messages, and the duties
come once a turn. State, checkpoints, recovery, rebalancing and the graph stay Quix's (docs/adr/0027).
"""

from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition
from quixstreams import Application, State
from quixstreams.context import set_message_context
from quixstreams.dataframe import StreamingDataFrame
from quixstreams.models import MessageContext, Topic

from gridpulse_runtime.hooks import before_checkpoint

__all__ = ["Held", "StraightLoop", "Take", "held_state_of"]

log = structlog.get_logger(__name__)
Take = Callable[[Message], Any]
"""Takes one message of the topic; what is not None goes into its dataframe. What it raises stops the app, uncommitted."""
TURN = 100
"""Messages between two looks at checkpoint, ticks and signals: some milliseconds."""


class StraightLoop(Application):
    """An Application whose topics may be taken straight: all of them, or none."""

    def __init__(self, *arguments: Any, on_turn: Callable[[str, int], None], **options: Any) -> None:
        """`on_turn` is told topic and number of the messages that a turn took."""
        super().__init__(*arguments, **options)
        self._takes: dict[str, Take] = {}
        self._on_turn = on_turn
        self._taken_away = False
        self.read_through: dict[tuple[str, int], int] = {}
        """End of the log that was reached last, of each partition assigned, where the consumer is told it (enable.partition.eof).

        A consumer's position is no such thing: past the last record lie markers of transactions, if that was written in one."""

    def take_straight(self, topic: Topic, take: Take) -> None:
        """Have each message of `topic` taken by `take`; what it returns is what the dataframe of `topic` begins with."""
        self._takes[topic.name] = take

    def _process_message(self, dataframe_composed: dict[str, Any]) -> None:
        """One turn of Quix's loop, instead of one message.

        The first message is done with before others are asked for: asking may take its partition away.
        """
        if not self._takes:
            super()._process_message(dataframe_composed)
            return
        self._producer.poll(0)
        first = self._consumer.poll(self._config.consumer_poll_timeout)
        self._run_tracker.set_message_consumed(first is not None)
        if first is None:
            return
        self._take_all([first], dataframe_composed)
        self._take_all(self._more(), dataframe_composed)

    def _more(self) -> list[Message]:
        """What else is waiting. Of partitions that were taken away while it was asked for, nothing: others have them now."""
        self._taken_away = False
        messages: list[Message] = self._consumer.consume(TURN - 1, 0)
        if self._taken_away:
            mine = {(place.topic, place.partition) for place in self._consumer.assignment()}
            messages = [message for message in messages if (message.topic(), message.partition()) in mine]
        return messages

    def _on_revoke(self, consumer: Any, topic_partitions: list[TopicPartition]) -> None:
        self._take_away(topic_partitions)
        super()._on_revoke(consumer, topic_partitions)

    def _on_lost(self, consumer: Any, topic_partitions: list[TopicPartition]) -> None:
        self._take_away(topic_partitions)
        super()._on_lost(consumer, topic_partitions)

    def _take_away(self, places: list[TopicPartition]) -> None:
        self._taken_away = True
        for place in places:
            self.read_through.pop((place.topic, place.partition), None)

    def _take_all(self, messages: list[Message], dataframe_composed: dict[str, Any]) -> None:
        taken: dict[str, int] = {}
        for message in messages:
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            error: KafkaError | None = message.error()
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001
                    raise KafkaException(error)
                self.read_through[topic, partition] = offset
                continue
            try:
                passed = self._takes[topic](message)
                if passed is not None:
                    self._pass_on(message, passed, dataframe_composed[topic])
            except Exception:
                log.exception("a message could not be processed", topic=topic, partition=partition, offset=offset)
                raise
            self._processing_context.store_offset(topic, partition, offset)
            taken[topic] = taken.get(topic, 0) + 1
        for topic, number in taken.items():
            self._on_turn(topic, number)

    def _pass_on(self, message: Message, value: Any, run: Callable[..., None]) -> None:
        here = MessageContext(message.topic(), message.partition(), message.offset(), len(message), message.leader_epoch())
        context = copy_context()
        context.run(set_message_context, here)
        context.run(run, value, message.key(), message.timestamp()[1], message.headers())


def state_of(frame: StreamingDataFrame) -> Callable[[Message], State]:
    """State of a message's key, in the store of `frame`: what a stateful function of Quix is given. The message has a key.

    Until the next checkpoint a key has one and the same object, so that what is known of its state can be kept with it.
    """
    frame.register_store()
    context, stream_id = frame.processing_context, frame.stream_id
    checkpoint = None
    states: dict[tuple[int, bytes], State] = {}

    def of(message: Message) -> State:
        nonlocal checkpoint
        if context.checkpoint is not checkpoint:
            checkpoint = context.checkpoint
            states.clear()
        place = message.partition(), message.key()
        state = states.get(place)
        if state is None:
            transaction = checkpoint.get_store_transaction(stream_id, place[0])
            state = states[place] = transaction.as_state(place[1])
        return state

    return of


class Held:
    """The values of one key's state, at hand until the checkpoint: for what is read and written with each message.

    A read and a write of Quix's take 6 µs (measured), of these a fraction of one.
    """

    __slots__ = ("_changed", "_state", "_values")

    def __init__(self, state: State) -> None:
        self._state = state
        self._values: dict[bytes, bytes | None] = {}
        self._changed: set[bytes] = set()

    def get_bytes(self, key: bytes) -> bytes | None:
        """Value of `key`, None where there is none."""
        if key not in self._values:
            self._values[key] = self._state.get_bytes(key)
        return self._values[key]

    def set_bytes(self, key: bytes, value: bytes) -> None:
        """Keep `value` until it is saved."""
        self._values[key] = value
        self._changed.add(key)

    def save(self) -> None:
        """Give what has changed to the state."""
        for key in self._changed:
            self._state.set_bytes(key, self._values[key])
        self._changed.clear()


def held_state_of(app: Application, frame: StreamingDataFrame) -> Callable[[Message], Held]:
    """As `state_of`, with values that are saved at each checkpoint of `app`, and lost where there is none."""
    of, held = state_of(frame), dict[State, Held]()

    def held_of(message: Message) -> Held:
        state = of(message)
        mine = held.get(state)
        if mine is None:
            mine = held[state] = Held(state)
        return mine

    def save() -> None:
        for one in held.values():
            one.save()
        held.clear()

    before_checkpoint(app, save)
    return held_of
