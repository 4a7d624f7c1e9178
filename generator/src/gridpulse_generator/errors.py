"""What the generator cannot go on from."""

__all__ = ["UndeliveredError", "UsageError"]


class UsageError(Exception):
    """An option or input is wrong: told in one line, exit code 2."""


class UndeliveredError(Exception):
    """Kafka did not take everything: told in one line, exit code 1."""
