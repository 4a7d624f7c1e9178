"""grid.assets into the asset book: read to its end before anything is judged, followed in the background after that."""

import threading

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from gridpulse_detector.assets import AssetBook
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec, DecodeError
from gridpulse_schemas.topics import ASSETS

__all__ = ["follow_assets"]

log = structlog.get_logger(__name__)


def follow_assets(settings: KafkaSettings, codec: Codec, book: AssetBook) -> None:
    """Load the whole topic into `book`, then keep it current from a daemon thread.

    Its own consumer, so that the readings' path keeps to one topic. Raises KafkaException where the broker does not answer.
    """
    consumer = Consumer({**settings.kafka_client(), "group.id": "gridpulse-detector-assets", "enable.auto.commit": False})
    partitions = consumer.list_topics(ASSETS, timeout=30).topics[ASSETS].partitions
    places = [TopicPartition(ASSETS, number, OFFSET_BEGINNING) for number in partitions]
    consumer.assign(places)
    marks = {place.partition: consumer.get_watermark_offsets(place, timeout=30) for place in places}
    ends = {number: end for number, (_, end) in marks.items()}
    pending = {number for number, (first, end) in marks.items() if end > first}
    while pending:
        take(consumer, codec, book, 0.5)
        done = {place.partition for place in consumer.position(places) if place.offset >= ends[place.partition]}
        pending -= done
    log.info("assets loaded", changes=book.version)

    def follow() -> None:
        while True:
            take(consumer, codec, book, 1.0)

    threading.Thread(target=follow, name="assets", daemon=True).start()


def take(consumer: Consumer, codec: Codec, book: AssetBook, timeout: float) -> None:
    """Read what has come within `timeout` seconds into `book`; what cannot be read is logged and passed over."""
    for message in consumer.consume(1000, timeout):
        if message.error() is not None or message.value() is None:
            continue
        try:
            asset = codec.decode("Asset", message.value())
        except DecodeError as error:
            log.warning("an asset cannot be read", offset=message.offset(), error=str(error))
            continue
        book.learn(asset)
