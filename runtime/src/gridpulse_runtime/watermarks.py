"""Where the partitions of an assignment begin and end, asked of Kafka at once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog
from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

__all__ = ["Watermarks"]

log = structlog.get_logger(__name__)
PATIENCE = 10.0
AskOne = Callable[..., tuple[int, int]]


class Watermarks:
    """Takes the place of a consumer's `get_watermark_offsets`, here `ask_one`.

    At an assignment Quix asks for each partition by itself, twice, over the connection on which a fetch waits for records
    (fetch.wait.max.ms) before the next answer comes: 5.7 s of the archiver's start. Another client's connection has no fetch.
    """

    def __init__(self, ask_one: AskOne, client: Callable[[], AdminClient]) -> None:
        self._ask_one = ask_one
        self._client = client
        self._known: dict[tuple[str, int], tuple[int, int]] = {}

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

    def _ask(self, partitions: Sequence[TopicPartition]) -> dict[tuple[str, int], tuple[int, int]]:
        places = [TopicPartition(place.topic, place.partition) for place in partitions]
        lows, highs = (
            self._client().list_offsets(
                dict.fromkeys(places, end), isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=PATIENCE
            )
            for end in (OffsetSpec.earliest(), OffsetSpec.latest())
        )
        return {(at.topic, at.partition): (lows[at].result().offset, highs[at].result().offset) for at in places}
