"""The console command of an app: --help from its settings, health first, then the app, then an exit code that tells."""

import signal
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

import structlog
import typer
from prometheus_client import disable_created_metrics

from gridpulse_runtime import logs
from gridpulse_runtime.damage import discard_damaged, is_damage, mark_damaged
from gridpulse_runtime.errors import UsageError
from gridpulse_runtime.health import Health, serve
from gridpulse_runtime.metrics import tell_process
from gridpulse_runtime.settings import PREFIX, AppSettings, load, stop

__all__ = ["console"]

Settings = TypeVar("Settings", bound=AppSettings)
Commands = Mapping[str, Callable[..., None]]
FAILED, INTERRUPTED = 1, 130


def variables(settings: type[AppSettings]) -> str:
    """One line a variable: name, meaning, default."""
    lines = []
    for name, field in settings.model_fields.items():
        default = "" if field.default in (None, "") else f" [{field.default}]"
        lines.append(f"{PREFIX}{name.upper()}: {field.description or ''}{default}")
    return "\n\n".join(lines)


def console(
    name: str,
    settings: type[Settings],
    run: Callable[[Settings, Health], None],
    commands: Callable[[], Commands] | None = None,
) -> None:
    """Parse the command line of `gridpulse-<name>`, load `settings`, serve health and call `run` until it returns.

    Exit codes: 0 after SIGTERM or Ctrl-C with the work committed, 1 after a failure (nothing uncommitted is lost: a restart
    goes on from the checkpoint), 2 for wrong settings. `commands`: what the program can do besides, as functions typer takes, by
    name; asked for only where the command line has words, so that what they import does not weigh on the app.
    """

    def command(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            work()

    def work() -> None:
        loaded = load(settings)
        logs.configure(name, style=loaded.log_format, level=loaded.log_level)
        disable_created_metrics()  # type: ignore[no-untyped-call]
        health = Health()
        health.add("start", lambda: "waiting for Kafka and the schema registry")
        state_dir = loaded.state_dir / name
        if loaded.metrics_port:
            tell_process(name, health, state_dir)
            try:
                serve(health, loaded.metrics_host, loaded.metrics_port)
            except OSError as error:
                raise SystemExit(stop(f"{PREFIX}METRICS_PORT: cannot listen on {loaded.metrics_port}: {error}")) from None
        log = structlog.get_logger(f"gridpulse.{name}")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # while it waits for servers; Quix takes over once it runs
        try:
            discard_damaged(state_dir)
            run(loaded, health)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except Exception as error:
            log.exception("stopped by a failure; what was not committed is done again at the next start")
            if is_damage(error, state_dir):
                mark_damaged(state_dir)
            sys.exit(FAILED)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # an impatient second one must not turn the exit code into a failure
        log.info("stopped, work committed")

    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    intro = f"{run.__doc__ or name}\n\nSettings are environment variables, secrets also as <NAME>_FILE:\n\n{variables(settings)}"
    others = commands() if commands and sys.argv[1:] else {}
    if others:
        app.callback(invoke_without_command=True, help=intro)(command)
        for word, function in others.items():
            app.command(word)(guarded(f"gridpulse-{name} {word}", function))
    else:
        app.command(help=intro)(work)
    app()


def guarded(program: str, command: Callable[..., None]) -> Callable[..., None]:
    """`command`, which tells a UsageError in one line (exit code 2) and ends quietly at Ctrl-C."""

    @wraps(command)
    def call(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except UsageError as error:
            raise SystemExit(stop(f"{program}: {error}")) from None
        except KeyboardInterrupt:
            sys.stderr.write(f"{program}: interrupted\n")
            raise SystemExit(INTERRUPTED) from None

    return call
