"""What gridpulse-archiver does besides running: compact and verify an archive. Both run beside the app."""

from collections.abc import Callable, Mapping

__all__ = ["archive_commands"]


def archive_commands() -> Mapping[str, Callable[..., None]]:
    """The commands by name. Imported only now: the app itself needs none of it."""
    from gridpulse_archiver.commands.compact import compact  # noqa: PLC0415
    from gridpulse_archiver.commands.verify import verify  # noqa: PLC0415

    return {"compact": compact, "verify": verify}
