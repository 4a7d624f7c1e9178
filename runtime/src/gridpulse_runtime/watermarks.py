"""Where the partitions of an assignment begin and end, asked of Kafka at once."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

import structlog
from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

__all__ = ["Place", "Watermarks"]

log = structlog.get_logger(__name__)
PATIENCE = 10.0
AskOne = Callable[..., tuple[int, int]]
Place = tuple[str, int]
"""Topic and partition."""


def offsets_at(client: AdminClient, end: OffsetSpec, places: Iterable[Place], patience: float) -> dict[Place, int]:
    """Offset of that `end` of each of `places`, by what Kafka says now of committed records.

    Raises KafkaException where it does not say within `patience` seconds, or twice that where leaders have changed.
    """
    asked = {TopicPartition(*place): end for place in places}

    def ask() -> dict[Place, int]:
        answers = client.list_offsets(asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=patience)
        found = {(at.topic, at.partition): answer.result().offset for at, answer in answers.items()}
        if any(offset < 0 for offset in found.values()):  # what the client answers where no broker did
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001  the constant's public name
        return found

    try:
        return ask()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.FENCED_LEADER_EPOCH:
            raise
        client.list_topics(timeout=patience)  # otherwise the client asks by the epoch from before the restart for ever
        return ask()


class Watermarks:
    """Takes the place of a consumer's `get_watermark_offsets`, here `ask_one`.

    At an assignment Quix asks for each partition by itself, twice, over the connection on which a fetch waits for records
    (fetch.wait.max.ms) before the next answer comes: 5.7 s of the archiver's start. Another client's connection has no fetch.
    """

    def __init__(self, ask_one: AskOne, client: Callable[[], AdminClient]) -> None:
        self._ask_one = ask_one
        self._client = client
        self._known: dict[Place, tuple[int, int]] = {}

    def __call__(self, partition: TopicPartition, timeout: float | None = None, *, cached: bool = False) -> tuple[int, int]:
        """First offset of `partition` and the one after its last, committed, record. Raises KafkaException."""
        known = None if cached else self._known.get((partition.topic, partition.partition))
        return known or self._ask_one(partition, timeout=timeout, cached=cached)

    @contextmanager
    def of(self, partitions: Sequence[TopicPartition]) -> Iterator[None]:
        """Answer for `partitions` from what Kafka says now; one by one, as ever, where it does not say."""
        try:
            self._known = self._ask(partitions)
        except KafkaException as error:
            log.warning("the ends of the assigned partitions are asked for one by one", reason=str(error))
        try:
            yield
        finally:
            self._known = {}

    def ends(self, places: Collection[Place], patience: float) -> dict[Place, int]:
        """The offset after the last committed record of each of `places`. Raises as `offsets_at`."""
        return offsets_at(self._client(), OffsetSpec.latest(), places, patience) if places else {}

    def _ask(self, partitions: Sequence[TopicPartition]) -> dict[Place, tuple[int, int]]:
        places = [(place.topic, place.partition) for place in partitions]
        lows, highs = (offsets_at(self._client(), end, places, PATIENCE) for end in (OffsetSpec.earliest(), OffsetSpec.latest()))
        return {place: (lows[place], highs[place]) for place in places}
