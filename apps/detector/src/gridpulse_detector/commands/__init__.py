"""What gridpulse-detector does besides running: replay recordings, explain an anomaly. No broker is needed but for `explain`."""

from collections.abc import Callable, Mapping

__all__ = ["offline_commands"]


def offline_commands() -> Mapping[str, Callable[..., None]]:
    """The commands by name. Imported only now: the app itself needs none of it."""
    from gridpulse_detector.commands.explain import explain  # noqa: PLC0415
    from gridpulse_detector.commands.replay import replay  # noqa: PLC0415

    return {"replay": replay, "explain": explain}
