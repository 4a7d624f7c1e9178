"""Composition of the alerter."""

import structlog
from confluent_kafka import Producer

from gridpulse_alerter.receivers import BadReceiverError, Receiver, receivers_of
from gridpulse_alerter.settings import AlerterSettings
from gridpulse_alerter.sink import AlertSink
from gridpulse_alerter.topology import wire
from gridpulse_alerter.webhook import Endpoint
from gridpulse_runtime.application import make_application, watch
from gridpulse_runtime.console import console
from gridpulse_runtime.dead_letter_box import DeadLetterBox
from gridpulse_runtime.health import Health
from gridpulse_runtime.kafka import PRODUCER, connect_codec, ensure_topics
from gridpulse_runtime.metrics import AppMetrics
from gridpulse_runtime.settings import stop
from gridpulse_schemas.topics import ALERTS_DLQ, ANOMALIES, SINKS_DLQ

__all__ = ["main", "run"]

log = structlog.get_logger(__name__)
NAME = "alerter"
MOST_RECORDS = 1000
"""Records a checkpoint: what is delivered anew where a receiver went down within it is remembered by id."""


def receivers(settings: AlerterSettings) -> list[Receiver]:
    """The receivers, told in the log. Exits with code 2 where one is described wrongly."""
    try:
        found = receivers_of(settings)
    except BadReceiverError as error:
        raise SystemExit(stop(str(error))) from None
    for each in found:
        log.info("receiver", name=each.name, host=each.host, signed=each.secret is not None, min_severity=each.min_severity)
    if not found:
        log.warning("no receiver: anomalies are only counted; set GRIDPULSE_WEBHOOK_URL or GRIDPULSE_ALERTS")
    return found


def run(settings: AlerterSettings, health: Health) -> None:
    """Deliver each anomaly to webhooks, each change of state once; waits for a receiver while it is down."""
    endpoints = [Endpoint(receiver, settings.webhook_timeout) for receiver in receivers(settings)]
    ensure_topics(settings, (ANOMALIES, ALERTS_DLQ, SINKS_DLQ))
    codec = connect_codec(settings, ("AnomalyEvent",))
    refused, unreadable = (
        DeadLetterBox(Producer({**settings.kafka_client(), **PRODUCER}), topic, NAME) for topic in (ALERTS_DLQ, SINKS_DLQ)
    )
    app = make_application(settings, NAME, AppMetrics.of(NAME), commit_every=MOST_RECORDS, exactly_once_offered=False)
    sink = AlertSink(endpoints, refused, unreadable)
    wire(app, codec, sink)
    watch(app, health)
    health.add("receivers", sink.not_ready)
    health.add("start", lambda: None)
    try:
        app.run()
    finally:
        sink.close()


def main() -> None:
    """Entry point of `gridpulse-alerter`."""
    console(NAME, AlerterSettings, run)
