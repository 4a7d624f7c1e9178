"""What the generator cannot go on from."""

__all__ = ["UndeliveredError"]


class UndeliveredError(Exception):
    """Kafka did not take everything: told in one line, exit code 1."""
