"""gridpulse-generator: the command line."""

import sys
from typing import cast

import typer

from gridpulse_generator.commands import replay, run
from gridpulse_generator.errors import UndeliveredError
from gridpulse_generator.settings import variables
from gridpulse_runtime.errors import UsageError

__all__ = ["main"]

NAME = "gridpulse-generator"
FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130
COMMANDS = ("run", "replay")
# Click's own errors (an unknown option, a number that is none): typer offers no public name for their base class.
CLICK_ERROR = cast("type[Exception]", typer.BadParameter.__mro__[2])

HELP = f"""Simulated smart grid with labelled faults (run, the default command), or a recorded file (replay), into Kafka.

Every option can also be set as GRIDPULSE_GENERATOR_<COMMAND>_<OPTION>, as GRIDPULSE_GENERATOR_RUN_METERS.
Connections are environment variables, secrets also as <NAME>_FILE:

{variables()}"""


def main() -> None:
    """Run the command. Exit codes: 0 done or asked to stop, 1 not everything was delivered, 2 wrong options or input."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] not in (*COMMANDS, "--help"):
        arguments = ["run", *arguments]
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        help=HELP,
        context_settings={"auto_envvar_prefix": "GRIDPULSE_GENERATOR"},
    )
    app.command("run")(run)
    app.command("replay")(replay)
    try:
        code = app(arguments, prog_name=NAME, standalone_mode=False)
    except UsageError as error:
        code = _stop(str(error), WRONG_USAGE)
    except UndeliveredError as error:
        code = _stop(str(error), FAILED)
    except CLICK_ERROR as error:
        code = _stop(getattr(error, "format_message", error.__str__)(), WRONG_USAGE)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    sys.exit(code or 0)


def _stop(message: str, code: int) -> int:
    sys.stderr.write(f"{NAME}: {' '.join(message.split())}\n")
    return code
