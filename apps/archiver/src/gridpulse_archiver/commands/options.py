"""Options of the commands, and how they reach the archive."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated

import typer

from gridpulse_archiver.ledger import DamagedLedgerError
from gridpulse_runtime.errors import UnavailableError, UsageError

__all__ = ["AsJson", "duration", "size", "telling"]

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
BYTES = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def duration(option: str, text: str) -> timedelta:
    """What `text` means, as 90s, 15m, 2h or 1d; 0 without a unit. Raises UsageError."""
    found = re.fullmatch(r"(\d{1,6})([smhd])|0", text)
    if found is None:
        raise UsageError(f"{option} {text}: expected a number with s, m, h or d, as 15m")
    return timedelta(seconds=int(found[1]) * SECONDS[found[2]]) if found[1] else timedelta()


def size(option: str, text: str) -> int:
    """Bytes that `text` means, as 64MB. Raises UsageError."""
    found = re.fullmatch(r"(\d{1,12})(|KB|MB|GB)", text)
    if found is None:
        raise UsageError(f"{option} {text}: expected a number of bytes, or with KB, MB, GB, as 512MB")
    return int(found[1]) * BYTES[found[2]]


@contextmanager
def telling() -> Iterator[None]:
    """Turn what only a person can mend into one line (exit code 2)."""
    try:
        yield
    except (UnavailableError, DamagedLedgerError) as error:
        raise UsageError(str(error)) from None
