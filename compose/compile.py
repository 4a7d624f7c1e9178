"""Compiles what the installed app runs compiled, at image build: a container starts with the machine code beside the sources.

The code is for the processor that NUMBA_CPU_NAME names, not for the one that builds.
"""

import importlib.util


class NoRegistry:
    """Hands out schema ids: nothing is registered while an image is built."""

    def register(self, subject: str, definition: str) -> int:
        """One id for all."""
        del subject, definition
        return 1


def main() -> None:
    """What each app compiles at its own start."""
    from gridpulse_schemas.codec import Codec  # noqa: PLC0415

    Codec(NoRegistry()).warm_up()
    if importlib.util.find_spec("gridpulse_ingest"):
        from gridpulse_ingest import passing, validation  # noqa: PLC0415

        validation.warm_up()
        passing.warm_up()
    if importlib.util.find_spec("gridpulse_detector"):
        from gridpulse_detector.assets import AssetBook  # noqa: PLC0415
        from gridpulse_detector.detection import Detector  # noqa: PLC0415
        from gridpulse_detector.ruleset import load_rules  # noqa: PLC0415

        Detector(load_rules(None), AssetBook()).warm_up()


if __name__ == "__main__":
    main()
