"""grid.assets into the asset book: read to its end before anything is judged, then followed in the background.

When a feeder has meters not heard before it is read to its end again: a grid's records and its first readings come at once.
"""

import threading
import time
from collections.abc import Callable

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from gridpulse_detector.assets import AssetBook
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec, DecodeError, RegistryUnavailableError
from gridpulse_schemas.topics import ASSETS

__all__ = ["follow_assets"]

log = structlog.get_logger(__name__)
GROUP = "gridpulse-detector-assets"
MOST, POLL, RETRY, TIMEOUT = 1000, 0.05, 1.0, 60.0
"""Records taken at once; seconds to wait for more of them, for the registry, and for the broker."""


class AssetFeed:
    """A consumer of its own, so that the readings' path keeps to one topic. Raises KafkaException where no broker answers."""

    def __init__(self, settings: KafkaSettings, codec: Codec, book: AssetBook) -> None:
        self._codec, self._book = codec, book
        self._consumer = Consumer(
            {
                **settings.kafka_client(),
                "group.id": "gridpulse-detector-assets",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 50,  # `complete` asks over the same connection, and waits until a fetch has returned
            }
        )
        partitions = self._consumer.list_topics(ASSETS, timeout=TIMEOUT).topics[ASSETS].partitions
        self._places = [TopicPartition(ASSETS, number, OFFSET_BEGINNING) for number in partitions]
        self._consumer.assign(self._places)
        self._taken = threading.Condition()
        self._learned: dict[int, int] = {}

    def complete(self) -> None:
        """Wait until the book knows what the topic holds now. Raises KafkaException, TimeoutError."""
        ends = {}
        for place in self._places:
            first, end = self._consumer.get_watermark_offsets(place, timeout=TIMEOUT)
            if end > first:
                ends[place.partition] = end
        with self._taken:
            if not self._taken.wait_for(lambda: self._reached(ends), TIMEOUT):
                raise TimeoutError(f"{ASSETS} could not be read to its end within {TIMEOUT:.0f} s")

    def follow(self) -> None:
        """Take what comes, for ever."""
        while True:
            for message in self._consumer.consume(MOST, POLL):
                if message.error() is None and message.value() is not None:
                    self._learn(message)
            with self._taken:
                self._learned = {place.partition: place.offset for place in self._consumer.position(self._places)}
                self._taken.notify_all()

    def _reached(self, ends: dict[int, int]) -> bool:
        return all(self._learned.get(partition, -1) >= end for partition, end in ends.items())

    def _learn(self, message: Message) -> None:
        """What cannot be read is logged and passed over; a registry that is down is waited for."""
        while True:
            try:
                self._book.learn(self._codec.decode("Asset", message.value()))
            except DecodeError as error:
                log.warning("an asset cannot be read", offset=message.offset(), error=str(error))
            except RegistryUnavailableError as error:
                log.warning("an asset has to wait", offset=message.offset(), error=str(error))
                time.sleep(RETRY)
                continue
            return


def follow_assets(settings: KafkaSettings, codec: Codec, book: AssetBook) -> Callable[[], None]:
    """Load the whole topic into `book`, then keep it current from a daemon thread; what returns when it is complete again.

    Raises KafkaException where the broker does not answer, and TimeoutError.
    """
    feed = AssetFeed(settings, codec, book)
    threading.Thread(target=feed.follow, name="assets", daemon=True).start()
    feed.complete()
    log.info("assets loaded", changes=book.version)
    return feed.complete
