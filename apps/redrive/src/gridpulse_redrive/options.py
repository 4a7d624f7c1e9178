"""Options of the commands, and what their text is turned into."""

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gridpulse_redrive.letters import DEAD_LETTER_TOPICS, Wanted
from gridpulse_runtime.errors import UsageError

__all__ = ["App", "AsJson", "Reason", "Since", "Topic", "Until", "moment", "place", "wanted"]

Topic = Annotated[
    str | None,
    typer.Option("--topic", metavar="TOPIC", help=f"Only letters of this topic: {', '.join(DEAD_LETTER_TOPICS)}."),
]
Reason = Annotated[
    str | None, typer.Option("--reason", metavar="WORD", help="Only letters with this reason, as future_timestamp.")
]
App = Annotated[str | None, typer.Option("--app", metavar="APP", help="Only letters of this app, as influx-sink.")]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="TIME", help="Only letters given up at this time or later: RFC 3339, or how long ago: 30m, 2h, 7d."
    ),
]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Only letters given up before this time; likewise.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a letter.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Save the letter's bytes, untouched, to this file.")]
Replace = Annotated[
    Path | None, typer.Option("--replace", metavar="FILE", help="Send the bytes of this file instead; for exactly one letter.")
]

AGO = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment(option: str, text: str | None, now: float) -> int | None:
    """Epoch ms of an RFC 3339 time (UTC where it has no zone), or of so long before `now`, epoch s. Raises UsageError."""
    if text is None:
        return None
    if ago := AGO.fullmatch(text.strip()):
        return round((now - float(ago[1]) * SECONDS[ago[2]]) * 1000)
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"{option} {text!r}: expected RFC 3339, as 2026-01-31T12:00:00Z, or how long ago, as 2h") from None
    return round((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1000)


def wanted(topic: str | None, reason: str | None, app: str | None, since: str | None, until: str | None) -> Wanted:
    """The letters that the options name. Raises UsageError."""
    if topic is not None and topic not in DEAD_LETTER_TOPICS:
        raise UsageError(f"--topic {topic!r} holds no dead letters: expected one of {', '.join(DEAD_LETTER_TOPICS)}")
    topics = DEAD_LETTER_TOPICS if topic is None else (topic,)
    now = time.time()
    return Wanted(topics, reason, app, moment("--since", since, now), moment("--until", until, now))


def place(text: str) -> tuple[int, int]:
    """Partition and offset of PARTITION:OFFSET. Raises UsageError."""
    found = re.fullmatch(r"(\d{1,9}):(\d{1,18})", text)
    if found is None:
        raise UsageError(f"{text!r} is no place: expected PARTITION:OFFSET, as list --json has them, for example 0:17")
    return int(found[1]), int(found[2])
