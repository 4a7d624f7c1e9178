"""Wiring: meter.readings.valid through the detector to grid.anomalies, and its closed panes through windows to grid.rollups."""

import time
from dataclasses import dataclass, field
from typing import Any

from quixstreams import Application, State, message_context
from quixstreams.dataframe import StreamingDataFrame

from gridpulse_detector import metrics
from gridpulse_detector.anomalies import anomaly_record
from gridpulse_detector.detection import Detector, Outcome
from gridpulse_detector.rollups import merge, pane_value, rollup_record
from gridpulse_runtime.application import before_checkpoint, bytes_topic, transaction_of
from gridpulse_runtime.redriven import redriven_for
from gridpulse_schemas import Codec, DecodeError, ReadingBatch
from gridpulse_schemas.topics import ANOMALIES, ROLLUPS, VALID

__all__ = ["wire"]

NAME = "detector"
MINUTE_MS = 60_000
ANOMALY, PANE = 0, 1
Tagged = tuple[int, Any]
JUDGED = metrics.READINGS.labels("judged")


@dataclass(frozen=True, slots=True)
class Judge:
    """The stateful step: one message in, tagged anomalies (encoded) and panes out."""

    detector: Detector
    codec: Codec
    learning: dict[str, dict[str, int]] = field(default_factory=dict)
    """By rule and feeder, how many assets it cannot judge yet."""

    def __call__(self, value: bytes, state: State) -> list[Tagged]:
        """Raises RegistryUnavailableError: the app stops uncommitted."""
        try:
            batch = self.codec.decode_batch(value)
        except DecodeError:
            metrics.UNREADABLE.inc()  # ingest writes this topic; the archiver dead-letters what it cannot read
            return []
        outcome = self.detector.judge(batch, state, message_context().offset, transaction_of(state))
        self.count(batch, outcome)
        if not outcome.changes and not outcome.panes:
            return []
        return self.outputs(batch, outcome)

    def outputs(self, batch: ReadingBatch, outcome: Outcome) -> list[Tagged]:
        """Number the outputs of this message, so that a reader can tell a repeat."""
        context = message_context()
        place = {"topic": VALID, "partition": context.partition, "offset": context.offset}
        tagged: list[Tagged] = []
        for change in outcome.changes:
            evidence = {**place, "ordinal": len(tagged)}
            record = anomaly_record(change, batch.feeder_id, self.detector.rules, evidence)
            tagged.append((ANOMALY, self.codec.encode("AnomalyEvent", record)))
            metrics.ANOMALIES.labels(record["kind"], record["state"]).inc()
        for pane in outcome.panes:
            tagged.append((PANE, pane_value(batch.feeder_id, pane, {**place, "ordinal": len(tagged)})))
        return tagged

    def count(self, batch: ReadingBatch, outcome: Outcome) -> None:
        """Count what became of the readings."""
        JUDGED.inc(outcome.judged)
        for name in ("dropped", "late", "repeated", "ahead"):
            number = getattr(outcome, name)
            if number:
                metrics.READINGS.labels(name).inc(number)
        for rule, assets in (outcome.learning or {}).items():
            feeders = self.learning.setdefault(rule, {})
            feeders[batch.feeder_id] = len(assets)
            metrics.LEARNING.labels(rule).set(sum(feeders.values()))
        if batch.rows:
            metrics.LATENCY.observe(max(0.0, time.time() - batch.sent_at / 1000))


def wire(app: Application, detector: Detector, codec: Codec) -> None:
    """Build the graph of the detector."""
    before_checkpoint(app, detector.save)
    readings = app.dataframe(bytes_topic(app, VALID)).filter(for_detector, metadata=True)
    judged = readings.apply(Judge(detector, codec), stateful=True, expand=True)
    anomalies = judged.filter(lambda tagged: tagged[0] == ANOMALY).apply(lambda tagged: tagged[1])
    anomalies.to_topic(bytes_topic(app, ANOMALIES))
    panes = judged.filter(lambda tagged: tagged[0] == PANE).apply(lambda tagged: tagged[1])
    panes = panes.set_timestamp(lambda value, *_: value["start"])
    minutes = panes.tumbling_window(MINUTE_MS, name="rollup-1m").reduce(merge, lambda value: value).final()
    quarters = (
        minutes.apply(lambda window: window["value"])
        .hopping_window(15 * MINUTE_MS, MINUTE_MS, name="rollup-15m")
        .reduce(merge, lambda value: value)
        .final()
    )
    send_rollups(app, minutes, "1m", codec)
    send_rollups(app, quarters, "15m", codec)


def for_detector(value: Any, key: Any, timestamp: int, headers: Any) -> bool:
    """Whether a record is not one that was sent again for a sink: its readings were judged the first time."""
    del value, key, timestamp
    return redriven_for(headers) in (None, NAME)


def send_rollups(app: Application, windows: StreamingDataFrame, name: str, codec: Codec) -> None:
    """Encode closed windows to grid.rollups, stamped with the wall clock: retention goes by the record's timestamp."""

    def encode(window: dict[str, Any]) -> bytes:
        metrics.ROLLUPS.labels(name).inc()
        return codec.encode("Rollup", rollup_record(window["value"], name, window["start"], window["end"]))

    windows.apply(encode).set_timestamp(lambda *_: int(time.time() * 1000)).to_topic(bytes_topic(app, ROLLUPS))
