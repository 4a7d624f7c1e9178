"""The run: which letters are due, sent in small transactions, told as it goes."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from gridpulse_redrive.destinations import Delivery, UnsendableError, delivery
from gridpulse_redrive.letters import Letter, Wanted, letters
from gridpulse_redrive.marks import Marks
from gridpulse_redrive.sending import OvertakenError, Sender
from gridpulse_runtime.errors import UsageError
from gridpulse_runtime.kafka import ensure_topics
from gridpulse_runtime.partitions import PartitionReader
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas.topics import REDRIVEN

__all__ = ["Plan", "Redrive"]

MOST_LETTERS, MOST_BYTES = 200, 1_000_000
"""Of one transaction: readers of its topics wait while it is open. A larger letter goes alone."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which letters (`at`: partition and offset of the only one), how many, whether again, and bytes in place of the letter's."""

    wanted: Wanted
    at: tuple[int, int] | None = None
    count: int | None = None
    again: bool = False
    replacement: bytes | None = None

    def due(self, reader: PartitionReader, marks: Marks) -> Iterator[Letter]:
        """The letters that are to be sent. Raises UnavailableError."""
        found = letters(reader, self.wanted) if self.at is None else self._one(reader, *self.at)
        return islice((letter for letter in found if self.again or not marks.has(letter)), self.count)

    def _one(self, reader: PartitionReader, partition: int, offset: int) -> Iterator[Letter]:
        for topic in self.wanted.topics:
            message = reader.at(topic, partition, offset)
            if message is not None and self.wanted.takes(letter := Letter.of(message)):
                yield letter


@dataclass(slots=True)
class Redrive:
    """One call of `gridpulse-redrive send`."""

    settings: KafkaSettings
    reader: PartitionReader
    plan: Plan
    as_json: bool = False
    sent: int = 0
    failed: int = 0
    _lookup: PartitionReader = field(init=False)

    def __post_init__(self) -> None:
        self._lookup = PartitionReader(self.settings, "gridpulse-redrive")  # the letters' own span is being read meanwhile

    def survey(self, *, tell: bool) -> int:
        """How many letters are due; with `tell` says of each where it would go. Raises UnavailableError, UsageError."""
        due = 0
        for letter in self.plan.due(self.reader, Marks.read(self.reader)):
            due += 1
            if tell:
                self._try_delivery(letter, "would go to")
        if self.plan.replacement is not None and due != 1:
            raise UsageError(f"--replace is for one letter, and {due} are due: name it with --topic and --at")
        if not due:
            _say("nothing to send: no such letter, or all were sent before (--again sends them once more)")
        return due

    def run(self, due: int) -> bool:
        """Send what is due, `due` at the last count; whether all of it went. Raises UnavailableError."""
        try:
            ensure_topics(self.settings, (REDRIVEN,))
            sender = Sender(self.settings)
            found = self.plan.due(self.reader, Marks.read(self.reader))  # now that nobody else writes any
            for chunk in self._chunks(found):
                self._send(sender, chunk)
                self._progress(due)
        except OvertakenError as error:
            _say(f"{error}: this one stops")
            return False
        finally:
            _say(f"sent {self.sent:,} again, {self.failed:,} could not be sent")
        return not self.failed

    def _chunks(self, found: Iterable[Letter]) -> Iterator[list[Delivery]]:
        """Deliveries of one transaction each, made ready before it begins."""
        chunk: list[Delivery] = []
        size = 0
        for letter in found:
            made = self._try_delivery(letter)
            if made is None:
                continue
            weight = len(made.value or b"")
            if chunk and (len(chunk) >= MOST_LETTERS or size + weight > MOST_BYTES):
                yield chunk
                chunk, size = [], 0
            chunk.append(made)
            size += weight
        if chunk:
            yield chunk

    def _try_delivery(self, letter: Letter, tell: str = "") -> Delivery | None:
        try:
            made = delivery(letter, self._lookup.at)
        except UnsendableError as error:
            self.failed += 1
            self._tell(letter, None, f"cannot be sent: {error}")
            return None
        if self.plan.replacement is not None:
            made = made.with_value(self.plan.replacement)
        if tell:
            self._tell(letter, made, tell)
        return made

    def _send(self, sender: Sender, chunk: list[Delivery]) -> None:
        refused = {id(each): reason for each, reason in sender.send(chunk)}
        self.failed += len(refused)
        self.sent += len(chunk) - len(refused)
        for each in chunk:
            if id(each) in refused:
                self._tell(each.letter, None, f"cannot be sent: Kafka refuses it: {refused[id(each)]}")
            elif self.as_json:
                self._tell(each.letter, each, "sent to")

    def _tell(self, letter: Letter, made: Delivery | None, what: str) -> None:
        if self.as_json:
            said = {"topic": letter.topic, "partition": letter.partition, "offset": letter.offset, "outcome": what}
            place = {"to": made.topic, "for": made.app, "receiver": made.receiver} if made else {"to": None}
            sys.stdout.write(json.dumps({**said, **place}, ensure_ascii=False) + "\n")
            return
        place_text = f" {made.topic}{f' for {made.app}' if made.app else ''}" if made else ""
        out = sys.stdout if made else sys.stderr
        out.write(f"{letter.id} ({letter.reason or 'no reason given'}) {what}{place_text}\n")

    def _progress(self, due: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{self.sent + self.failed:,} of {due:,}\r")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
