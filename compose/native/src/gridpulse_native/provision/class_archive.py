"""Kafka's classes as the JVM keeps them, as in Kafka's own image: a broker that finds them starts with half the CPU."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from gridpulse_native.errors import CancelledError
from gridpulse_native.ports import choose
from gridpulse_native.process import Process
from gridpulse_native.servers.kafka import CLASSES, Kafka

if TYPE_CHECKING:
    from gridpulse_native.provision.workshop import Workshop

__all__ = ["archive_classes"]

POLL_SECONDS, PATIENCE = 0.2, 120.0


def archive_classes(shop: Workshop) -> None:
    """Run the workshop's broker once; at its end the JVM writes the classes it loaded. One that cannot leaves Kafka as it was."""
    data = shop.directory / "once"
    kafka = Kafka(data, choose(Kafka.port_names, {}), shop.environment)
    for command in kafka.prepare(shop.directory):
        shop.run("formatting a log", command.words)
    told = {**shop.environment, "JAVA_TOOL_OPTIONS": f"-XX:ArchiveClassesAtExit={CLASSES}"}
    words = kafka.command(shop.directory).words
    process = Process(words, log=shop.log, directory=shop.directory, environment=told, niceness=shop.niceness)
    try:
        end = time.monotonic() + PATIENCE
        while process.alive and not kafka.answers() and time.monotonic() < end:
            if shop.cancel.is_set():
                raise CancelledError(f"{shop.label}: stopped")
            time.sleep(POLL_SECONDS)
    finally:
        process.stop(PATIENCE)
        shutil.rmtree(data, ignore_errors=True)
