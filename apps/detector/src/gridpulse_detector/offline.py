"""The detector without a broker: batches in, AnomalyEvent records out. Replay, benchmarks and `explain` run it."""

from typing import Any

from gridpulse_detector.anomalies import anomaly_record
from gridpulse_detector.assets import AssetBook
from gridpulse_detector.detection import Detector
from gridpulse_detector.ruleset import Rules
from gridpulse_detector.windows import MemoryStore
from gridpulse_schemas import ReadingBatch

__all__ = ["MemoryStore", "OfflineDetector"]


class OfflineDetector:
    """Judges batches of any feeders in the order given, with the state of each in memory."""

    def __init__(self, rules: Rules, assets: AssetBook | None = None) -> None:
        self.rules = rules
        self._detector = Detector(rules, assets or AssetBook())
        self._stores: dict[str, MemoryStore] = {}
        self._fed = 0
        self.learning: dict[str, dict[str, list[str]]] = {}
        """By feeder and rule, what could not be judged in its last closed hour for want of history."""

    def feed(self, batch: ReadingBatch, topic: str = "", partition: int = 0, offset: int | None = None) -> list[dict[str, Any]]:
        """Events that `batch` leads to, records of schema AnomalyEvent; their evidence names the place, or the batch's number."""
        store = self._stores.setdefault(batch.feeder_id, MemoryStore())
        offset = self._fed if offset is None else offset
        place = {"topic": topic, "partition": partition, "offset": offset}
        self._fed += 1
        outcome = self._detector.judge(batch, store, offset, batch.feeder_id)
        if outcome.learning:
            self.learning[batch.feeder_id] = dict(outcome.learning)
        return [
            anomaly_record(change, batch.feeder_id, self.rules, {**place, "ordinal": ordinal})
            for ordinal, change in enumerate(outcome.changes)
        ]
