"""gridpulse-redrive: the command line."""

import signal
import sys
from typing import Any

import typer

from gridpulse_redrive.commands import list_letters, send, show
from gridpulse_runtime.console import guarded, variables
from gridpulse_runtime.settings import KafkaSettings

__all__ = ["main"]

NAME = "gridpulse-redrive"
HELP = f"""Dead letters: list them, show one, and send them again, once each.

A letter that was sent again is marked in grid.redriven in the same Kafka transaction, so it is never sent twice, whenever this
program is killed; of two that run at once the later one goes on. What was sent keeps lying in the dead-letter topic.

Connections are environment variables, secrets also as <NAME>_FILE:

{variables(KafkaSettings)}"""  # type: ignore[arg-type]


def main() -> None:
    """Run the command. Exit codes: 0 done, 1 not all could be sent or Kafka does not answer, 2 wrong options, 130 interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True, help=HELP)
    for word, function in (("list", list_letters), ("show", show), ("send", send)):
        app.command(word)(guarded(f"{NAME} {word}", function))
    app(prog_name=NAME)


def _interrupt(*_: Any) -> None:
    sys.stderr.write(f"{NAME}: asked to stop\n")
    raise KeyboardInterrupt
