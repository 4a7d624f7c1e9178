"""Composition of the alerter: a part for each receiver, and the clerk, in one process."""

from collections.abc import Callable, Mapping

import structlog
from confluent_kafka import Producer
from quixstreams import Application

from gridpulse_alerter import metrics
from gridpulse_alerter.clerk import ClerkSink
from gridpulse_alerter.closing import Closing
from gridpulse_alerter.endpoint import Endpoint
from gridpulse_alerter.errors import BadAlertsError
from gridpulse_alerter.letters import LetterBox
from gridpulse_alerter.plan import Plan, plan_of
from gridpulse_alerter.progress import begin
from gridpulse_alerter.receivers import Receiver
from gridpulse_alerter.settings import AlerterSettings
from gridpulse_alerter.sink import AlertSink
from gridpulse_alerter.topology import wire, wire_clerk
from gridpulse_runtime.application import group_of, make_application
from gridpulse_runtime.console import console
from gridpulse_runtime.dead_letter_box import DeadLetterBox
from gridpulse_runtime.health import Health
from gridpulse_runtime.hooks import each_turn, end_checkpoint_in, watch
from gridpulse_runtime.kafka import PRODUCER, connect_codec, ensure_topics
from gridpulse_runtime.settings import stop
from gridpulse_runtime.together import Parts, run_together
from gridpulse_schemas import Codec
from gridpulse_schemas.topics import ALERTS_DLQ, ANOMALIES, SINKS_DLQ

__all__ = ["main", "run"]

log = structlog.get_logger(__name__)
NAME = "alerter"
CLERK = "(clerk)"  # no receiver can be called that
MOST_RECORDS, MOST_HELD = 1000, 10_000
"""Records a checkpoint; the second where a rate holds some for a minute."""
WINDOWS_EVERY = 5.0


class Office:
    """Makes the parts: applications with what they need, and their health."""

    def __init__(self, settings: AlerterSettings, plan: Plan, codec: Codec, health: Health) -> None:
        self._settings = settings
        self._plan = plan
        self._codec = codec
        self._parts = Parts(health)
        self._producer = Producer({**settings.kafka_client(), **PRODUCER})
        self._closers: list[Callable[[], None]] = []

    def clerk(self) -> Application:
        """The part that waits for no receiver."""
        app = make_application(self._settings, NAME, metrics.of_receiver(""), exactly_once_offered=False)
        wire_clerk(app, self._codec, ClerkSink(self._plan.routing, self._box(SINKS_DLQ)))
        watch(app, self._parts.part(CLERK))
        return app

    def part(self, receiver: Receiver) -> Application:
        """The part of `receiver`, with its own progress."""
        group = group_of(self._settings, NAME, receiver.name)
        begin(self._settings, group, receiver.history)
        app = make_application(
            self._settings,
            NAME,
            metrics.of_receiver(receiver.name),
            part=receiver.name,
            commit_every=MOST_HELD if receiver.rate else MOST_RECORDS,
            exactly_once_offered=False,
        )
        endpoint, box = Endpoint(receiver), LetterBox(receiver.name, self._box(ALERTS_DLQ))
        sink = AlertSink(self._plan, endpoint, box, lambda seconds: end_checkpoint_in(app, seconds))
        self._closers += [sink.close, endpoint.close]
        wire(app, self._codec, sink, receiver.name)
        health = self._parts.part(receiver.name)
        watch(app, health)
        health.add("receiver", sink.not_ready)
        self._close_windows(app, Closing(self._settings, self._plan, endpoint, group, self._codec, box))
        return app

    def close(self) -> None:
        """End threads and connections."""
        for close in self._closers:
            close()

    def _close_windows(self, app: Application, closing: Closing) -> None:
        """Of several replicas the one that has partition 0 tells of windows."""

        def turn() -> None:
            if any(place.topic == ANOMALIES and place.partition == 0 for place in app._consumer.assignment()):  # noqa: SLF001
                closing.turn()

        if self._plan.windows:
            each_turn(app, turn, every=WINDOWS_EVERY)

    def _box(self, topic: str) -> DeadLetterBox:
        return DeadLetterBox(self._producer, topic, NAME)


def plan_or_exit(settings: AlerterSettings) -> Plan:
    """The plan, told in the log. Exits with code 2 where something is described wrongly."""
    try:
        plan = plan_of(settings)
    except BadAlertsError as error:
        raise SystemExit(stop(str(error))) from None
    for receiver in plan.receivers:
        log.info("receiver", **receiver.told)
    for window in plan.windows:
        log.info("maintenance window", **window.told)
    if not plan.receivers:
        log.warning("no receiver: anomalies are only counted; set GRIDPULSE_WEBHOOK_URL or GRIDPULSE_ALERTS")
    return plan


def run(settings: AlerterSettings, health: Health) -> None:
    """Deliver anomalies to receivers, each change of state once; a receiver that is down is waited for, alone."""
    plan = plan_or_exit(settings)
    ensure_topics(settings, (ANOMALIES, ALERTS_DLQ, SINKS_DLQ))
    office = Office(settings, plan, connect_codec(settings, ("AnomalyEvent",)), health)
    apps = {CLERK: office.clerk()} | {receiver.name: office.part(receiver) for receiver in plan.receivers}
    health.add("start", lambda: None)
    try:
        run_together(apps)
    finally:
        office.close()


def commands() -> Mapping[str, Callable[..., None]]:
    """What the program can do besides."""
    from gridpulse_alerter.check import check  # noqa: PLC0415

    return {"check": check}


def main() -> None:
    """Entry point of `gridpulse-alerter`."""
    console(NAME, AlerterSettings, run, commands)
