"""Failures, each named by what is to be done."""

__all__ = ["DamagedStateError", "RefusedError", "UnavailableError", "UsageError"]


class DamagedStateError(Exception):
    """The state on disk lacks what it says it holds: it is deleted at the next start, and rebuilt from the changelog."""


class RefusedError(Exception):
    """The destination will never take this: dead-letter it."""


class UnavailableError(Exception):
    """The destination takes nothing now: wait, `retry_after` seconds where it said so."""

    def __init__(self, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class UsageError(Exception):
    """An option or input of a command is wrong: told in one line, exit code 2."""
