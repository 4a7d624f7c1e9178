"""gridpulse-ingest topics and acls: what has to be in Kafka before the apps."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from gridpulse_runtime import logs
from gridpulse_runtime.access import allow, commands
from gridpulse_runtime.kafka import ensure_topics
from gridpulse_runtime.settings import KafkaSettings, load
from gridpulse_schemas.access import ACCESS
from gridpulse_schemas.topics import TOPICS

__all__ = ["acls", "topics"]

Programs = Annotated[
    list[str] | None, typer.Argument(metavar="PROGRAM", help=f"Only for these: {', '.join(ACCESS)}. Not given: for all.")
]
Principal = Annotated[str, typer.Option("--principal", metavar="TEXT", help="Principal of a program; {program} is its name.")]
AsCommands = Annotated[bool, typer.Option("--print", help="Change nothing: print the rules as commands of kafka-acls.sh.")]


def topics() -> None:
    """Make the topics of the pipeline that are missing, print all with their partitions, and end.

    Waits until Kafka answers; what exists is left as it is. Exit code 1 where Kafka refuses. The apps do the same for the topics
    each of them works with: this is for where one principal alone may create topics. Where Kafka is: GRIDPULSE_KAFKA_*.
    """
    settings = load(KafkaSettings)
    with refusals("topics", settings):
        ensure_topics(settings, TOPICS)
        found = AdminClient({**settings.kafka_client(), "log_level": 0}).list_topics(timeout=10).topics
    for name in TOPICS:
        sys.stdout.write(f"{name} {len(found[name].partitions)}\n")


def acls(programs: Programs = None, principal: Principal = "User:gridpulse-{program}", show: AsCommands = False) -> None:  # noqa: FBT002
    """Allow each program of the pipeline, on the Kafka of GRIDPULSE_KAFKA_*, what it needs there and nothing else.

    What was allowed before stays. Exit code 1 where Kafka refuses, 2 where there is no such program.
    """
    chosen = programs or list(ACCESS)
    unknown = sorted(set(chosen) - set(ACCESS))
    if unknown:
        raise typer.BadParameter(f"no such program: {', '.join(unknown)}; there are {', '.join(ACCESS)}", param_hint="PROGRAM")
    settings = load(KafkaSettings)
    if show:
        sys.stdout.writelines(f"{line}\n" for line in commands(settings.kafka_bootstrap, principal, chosen))
        return
    with refusals("acls", settings):
        count = allow(settings, principal, chosen)
    sys.stdout.write(f"{count} rules for {len(chosen)} principals\n")


@contextmanager
def refusals(command: str, settings: KafkaSettings) -> Iterator[None]:
    """Log as the app does; one line and exit code 1 where Kafka refuses."""
    logs.configure("ingest", style=settings.log_format, level=settings.log_level)
    try:
        yield
    except KafkaException as error:
        sys.stderr.write(f"gridpulse-ingest {command}: Kafka at {settings.kafka_bootstrap}: {error.args[0].str()}\n")
        raise SystemExit(1) from None
