"""Wiring: meter.readings.valid through the detector to grid.anomalies and grid.rollups."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from confluent_kafka import Message

from gridpulse_detector import metrics
from gridpulse_detector.anomalies import anomaly_record
from gridpulse_detector.detection import Detector
from gridpulse_detector.outcome import Outcome
from gridpulse_detector.rollups import rollup_record
from gridpulse_runtime.application import bytes_topic
from gridpulse_runtime.gradual import Kept
from gridpulse_runtime.hooks import each_turn
from gridpulse_runtime.redriven import redriven_for
from gridpulse_runtime.stream_application import StreamApplication
from gridpulse_schemas import Codec, DecodeError
from gridpulse_schemas.topics import ANOMALIES, ROLLUPS, VALID

__all__ = ["wire"]

NAME = "detector"
ANOMALY, ROLLUP = 0, 1
Tagged = tuple[int, bytes]
JUDGED = metrics.READINGS.labels("judged")


@dataclass(slots=True)
class Judge:
    """The stateful step: one message in, anomalies and rollups out, encoded and tagged; None where there are none."""

    detector: Detector
    codec: Codec
    state_of: Callable[[Message], Kept]
    learning: dict[str, dict[str, int]] = field(default_factory=dict)
    """By rule and feeder, how many assets it cannot judge yet."""
    judged: int = 0
    """Readings that the counter has not been told of."""

    def __call__(self, message: Message) -> list[Tagged] | None:
        """Raises RegistryUnavailableError: the app stops uncommitted."""
        if redriven_for(message.headers()) not in (None, NAME):
            return None  # sent again for a sink: its readings were judged the first time
        outcome = self.verdict(message)
        if outcome is None:
            metrics.UNREADABLE.inc()  # ingest writes this topic; the archiver dead-letters what it cannot read
            return None
        self.count(outcome)
        if not outcome.changes and not outcome.windows:
            return None
        return self.outputs(outcome, message)

    def verdict(self, message: Message) -> Outcome | None:
        """What a message leads to; None where it is no batch, or has no key: state is kept by it."""
        value = message.value()
        if message.key() is None or value is None:
            return None
        state = self.state_of(message)  # one object for as long as the feeder is kept, so it stands for the transaction as well
        outcome = self.detector.judge_usual(value, message.offset(), state)
        if outcome is not None:
            return outcome
        try:
            batch = self.codec.decode_batch(value)
        except DecodeError:
            return None
        return self.detector.judge(batch, state, message.offset(), state, value)

    def outputs(self, outcome: Outcome, message: Message) -> list[Tagged]:
        """Number the outputs of this message, so that a reader can tell a repeat."""
        place = {"topic": VALID, "partition": message.partition(), "offset": message.offset()}
        tagged: list[Tagged] = []
        for change in outcome.changes:
            evidence = {**place, "ordinal": len(tagged)}
            record = anomaly_record(change, outcome.feeder_id, self.detector.rules, evidence)
            tagged.append((ANOMALY, self.codec.encode("AnomalyEvent", record)))
            metrics.ANOMALIES.labels(record["kind"], record["state"]).inc()
        for window in outcome.windows:
            rollup = rollup_record(window, outcome.feeder_id, {**place, "ordinal": len(tagged)})
            tagged.append((ROLLUP, self.codec.encode("Rollup", rollup)))
            metrics.ROLLUPS.labels(rollup["window"]).inc()
        return tagged

    def count(self, outcome: Outcome) -> None:
        """Count what became of the readings."""
        self.judged += outcome.judged
        if outcome.judged != outcome.rows:
            for name in ("dropped", "late", "repeated", "ahead"):
                metrics.READINGS.labels(name).inc(getattr(outcome, name))
        for rule, assets in outcome.learning:
            feeders = self.learning.setdefault(rule, {})
            metrics.LEARNING.labels(rule).inc(len(assets) - feeders.get(outcome.feeder_id, 0))
            feeders[outcome.feeder_id] = len(assets)
        if outcome.rows:
            metrics.LATENCY.observe(max(0.0, time.time() - outcome.sent_at / 1000))

    def tell(self) -> None:
        """Count the readings judged: once a turn of the loop, since a counter's lock costs as much as judging two readings."""
        JUDGED.inc(self.judged)
        self.judged = 0


def wire(app: StreamApplication, detector: Detector, codec: Codec) -> None:
    """Build the graph of the detector: readings are judged before it, what is to be sent goes through it."""
    assert app.states is not None  # noqa: S101  see main
    topic = bytes_topic(app, VALID)
    frame = app.dataframe(topic)
    app.states.serve(app, frame, detector.save, detector.forget)
    judge = Judge(detector, codec, app.states.of)
    app.take_straight(topic, judge)
    each_turn(app, judge.tell)
    judged = frame.apply(lambda outputs: outputs, expand=True)
    judged.filter(lambda tagged: tagged[0] == ANOMALY).apply(lambda tagged: tagged[1]).to_topic(bytes_topic(app, ANOMALIES))
    rollups = judged.filter(lambda tagged: tagged[0] == ROLLUP).apply(lambda tagged: tagged[1])
    # Stamped with the wall clock: retention goes by the record's timestamp.
    rollups.set_timestamp(lambda *_: int(time.time() * 1000)).to_topic(bytes_topic(app, ROLLUPS))
