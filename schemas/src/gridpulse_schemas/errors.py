"""What can go wrong with a message, named by what the reader should do about it."""

__all__ = ["DecodeError", "RegistryUnavailableError"]


class DecodeError(Exception):
    """These bytes can never be read: dead-letter them and go on.

    `reason` is a stable word for headers and metrics: `bad_frame`, `unknown_schema`, `schema_mismatch` or `malformed`.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class RegistryUnavailableError(Exception):
    """The registry did not answer: nothing is known about the message, so stop without committing it."""
