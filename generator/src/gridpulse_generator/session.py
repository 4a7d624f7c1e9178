"""What both commands do around their work: connect, listen to signals, tell how it went."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from gridpulse_generator.errors import UndeliveredError
from gridpulse_generator.pacing import Stop
from gridpulse_generator.progress import Progress, Summary
from gridpulse_generator.sending import Sender, make_producer
from gridpulse_generator.settings import GeneratorSettings
from gridpulse_runtime import logs
from gridpulse_runtime.kafka import connect_codec, ensure_topics
from gridpulse_runtime.settings import load
from gridpulse_schemas.topics import ASSETS, READINGS

__all__ = ["Session", "Work", "carry_out", "connected"]

SCHEMAS = ("MeterReading", "MeterReadingBatch", "Asset")


class Work(Protocol):
    """A run or a replay."""

    def go(self, progress: Progress) -> None:
        """Send everything. Raises UndeliveredError."""

    def summary(self) -> Summary:
        """What was sent."""


@dataclass(frozen=True, slots=True)
class Session:
    """A sender that is connected, and the flag that signals set."""

    sender: Sender
    stop: Stop
    as_json: bool


@contextmanager
def connected(*, as_json: bool, singles: bool) -> Iterator[Session]:
    """Connect with the settings of the environment; waits until Kafka and the registry answer, or SIGTERM."""
    settings = load(GeneratorSettings)
    logs.configure("generator", style=settings.log_format, level=settings.log_level)
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        ensure_topics(settings, (READINGS, ASSETS))
        codec = connect_codec(settings, SCHEMAS)
        with Stop() as stop:
            sender = Sender(make_producer(settings), codec, singles=singles, stopping=lambda: stop.requested)
            yield Session(sender, stop, as_json)
    finally:
        signal.signal(signal.SIGTERM, before)


def carry_out(work: Work, session: Session, total: int | None) -> None:
    """Do `work` of `total` readings and print its summary, also where it raises UndeliveredError."""
    failure = ""
    try:
        with Progress(total) as progress:
            work.go(progress)
    except UndeliveredError as error:
        failure = str(error)
        raise
    finally:
        summary = work.summary()
        summary.undelivered = failure
        sys.stdout.write((summary.as_json() if session.as_json else summary.as_text()) + "\n")
        sys.stdout.flush()


def _leave(number: int, frame: FrameType | None) -> None:
    """Nothing was sent yet, so there is nothing to finish."""
    del number, frame
    raise SystemExit(0)
