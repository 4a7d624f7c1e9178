"""The two ways a write can fail, each named by what is to be done."""

__all__ = ["RefusedError", "UnavailableError"]


class RefusedError(Exception):
    """InfluxDB will never take some of these lines: find them and dead-letter them."""


class UnavailableError(Exception):
    """InfluxDB takes nothing now: wait, `retry_after` seconds where it said so."""

    def __init__(self, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
