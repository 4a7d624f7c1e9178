"""The topic manifest: names, partitions, retention, what each carries."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files

__all__ = [
    "ALERTS_DLQ",
    "ANOMALIES",
    "ASSETS",
    "READINGS",
    "READINGS_DLQ",
    "REDRIVEN",
    "ROLLUPS",
    "SINKS_DLQ",
    "TOPICS",
    "VALID",
    "Topic",
]


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as `topics.toml` has it. `value` names the schemas it carries, or says what the bytes are."""

    name: str
    key: str
    value: tuple[str, ...]
    partitions: int
    max_message_bytes: int
    retention_ms: int = -1
    cleanup: str = "delete"

    def config(self) -> dict[str, str]:
        """Broker settings of the topic."""
        settings = {"cleanup.policy": self.cleanup, "max.message.bytes": str(self.max_message_bytes)}
        if "delete" in self.cleanup:
            settings["retention.ms"] = str(self.retention_ms)
        return settings


def _load() -> dict[str, Topic]:
    manifest = tomllib.loads((files("gridpulse_schemas") / "topics.toml").read_text(encoding="utf-8"))
    return {name: Topic(name=name, **{**entry, "value": tuple(entry["value"])}) for name, entry in manifest.items()}


TOPICS = _load()

READINGS = "meter.readings"
VALID = "meter.readings.valid"
READINGS_DLQ = "meter.readings.dlq"
ASSETS = "grid.assets"
ANOMALIES = "grid.anomalies"
ROLLUPS = "grid.rollups"
ALERTS_DLQ = "grid.alerts.dlq"
SINKS_DLQ = "grid.sinks.dlq"
REDRIVEN = "grid.redriven"
