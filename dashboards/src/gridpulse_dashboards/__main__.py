"""Writes the JSON of every dashboard. `python -m gridpulse_dashboards FOLDER`."""

import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from gridpulse_dashboards.data_quality import data_quality
from gridpulse_dashboards.meter import meter
from gridpulse_dashboards.operations import operations
from gridpulse_dashboards.pipeline import pipeline
from gridpulse_dashboards.power_quality import power_quality

__all__ = ["built", "main"]

DASHBOARDS = (operations, pipeline, power_quality, data_quality, meter)


def built() -> dict[str, str]:
    """Text of each dashboard's file, by its name."""
    encoder = JSONEncoder(indent=1, sort_keys=True, ensure_ascii=False)
    made = (dashboard().build() for dashboard in DASHBOARDS)
    return {f"{board.uid}.json": encoder.encode(board) + "\n" for board in made}


def main(folder: Path) -> None:
    """Write them all into `folder`, and remove other JSON files there."""
    files = built()
    for stale in set(folder.glob("*.json")) - {folder / name for name in files}:
        stale.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
