"""Dead letters: what cannot be used, with the reason and the place it came from in the headers."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["RECEIVER_HEADER", "DeadLetter", "Headers", "headers_of", "texts_of"]

RECEIVER_HEADER = "gridpulse-receiver"
Headers = Sequence[tuple[str, bytes | str | None]]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record for a DLQ: the bytes as they are to be kept, and why they are there.

    `reason` is a stable word, `detail` a sentence for people, `row` the row within a batch or -1 for the whole message;
    `receiver` is the one of several that did not take it, where an app has several.
    """

    key: bytes | None
    value: bytes | None
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    row: int = -1
    receiver: str = ""


MAX_DETAIL = 500


def headers_of(letter: DeadLetter, app: str) -> list[tuple[str, bytes]]:
    """Kafka headers of `letter`; stable names, so that people and `redrive` can filter on them."""
    headers = [
        ("gridpulse-reason", letter.reason.encode()),
        ("gridpulse-detail", letter.detail[:MAX_DETAIL].encode("utf-8", "replace")),
        ("gridpulse-app", app.encode()),
        ("gridpulse-topic", letter.topic.encode()),
        ("gridpulse-partition", str(letter.partition).encode()),
        ("gridpulse-offset", str(letter.offset).encode()),
    ]
    if letter.row >= 0:
        headers.append(("gridpulse-row", str(letter.row).encode()))
    if letter.receiver:
        headers.append((RECEIVER_HEADER, letter.receiver.encode()))
    return headers


def texts_of(headers: Headers | None) -> dict[str, str]:
    """Kafka headers as text, whoever wrote them; of a name that comes twice the last."""
    return {name: text if isinstance(text, str) else (text or b"").decode("utf-8", "replace") for name, text in headers or ()}
