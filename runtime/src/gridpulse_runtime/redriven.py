"""The mark of a record that `gridpulse-redrive` sent again: the one app it is for.

Every app that reads the topic sees it, one needs it. The others skip it before anything else: no mark moves, nothing is
counted as a repeat. The app it is for lets it pass its high-water mark, which would drop it as a repeat.
"""

from collections.abc import Sequence

__all__ = ["REDRIVE_HEADER", "redriven_for"]

REDRIVE_HEADER = "gridpulse-redrive"
"""Kafka header of a record sent again; its value is the consumer app's name, as `influx-sink`."""


def redriven_for(headers: Sequence[tuple[str, bytes | str | None]] | None) -> str | None:
    """Give the app a record was sent again for; None for an ordinary record. Of several such headers the last counts.

    `headers` are those Quix Streams gives with `metadata=True`, or confluent-kafka's.
    """
    for name, value in reversed(headers or ()):
        if name == REDRIVE_HEADER and value:
            return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return None
