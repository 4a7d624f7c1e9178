"""gridpulse-ingest acls."""

import sys
from typing import Annotated

import typer
from confluent_kafka import KafkaException

from gridpulse_runtime import logs
from gridpulse_runtime.access import allow, commands
from gridpulse_runtime.settings import KafkaSettings, load
from gridpulse_schemas.access import ACCESS

__all__ = ["acls"]

Programs = Annotated[
    list[str] | None, typer.Argument(metavar="PROGRAM", help=f"Only for these: {', '.join(ACCESS)}. Not given: for all.")
]
Principal = Annotated[str, typer.Option("--principal", metavar="TEXT", help="Principal of a program; {program} is its name.")]
AsCommands = Annotated[bool, typer.Option("--print", help="Change nothing: print the rules as commands of kafka-acls.sh.")]


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
    logs.configure("ingest", style=settings.log_format, level=settings.log_level)
    try:
        count = allow(settings, principal, chosen)
    except KafkaException as error:
        sys.stderr.write(f"gridpulse-ingest acls: Kafka at {settings.kafka_bootstrap}: {error.args[0].str()}\n")
        raise SystemExit(1) from None
    sys.stdout.write(f"{count} rules for {len(chosen)} principals\n")
