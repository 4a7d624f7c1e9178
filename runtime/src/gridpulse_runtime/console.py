"""The console command of an app: --help from its settings, health first, then the app, then an exit code that tells."""

import signal
import sys
from collections.abc import Callable
from typing import TypeVar

import structlog
import typer
from prometheus_client import disable_created_metrics

from gridpulse_runtime import logs
from gridpulse_runtime.health import Health, serve
from gridpulse_runtime.settings import PREFIX, AppSettings, load, stop

__all__ = ["console"]

Settings = TypeVar("Settings", bound=AppSettings)
FAILED = 1


def variables(settings: type[AppSettings]) -> str:
    """One line a variable: name, meaning, default."""
    lines = []
    for name, field in settings.model_fields.items():
        default = "" if field.default in (None, "") else f" [{field.default}]"
        lines.append(f"{PREFIX}{name.upper()}: {field.description or ''}{default}")
    return "\n\n".join(lines)


def console(name: str, settings: type[Settings], run: Callable[[Settings, Health], None]) -> None:
    """Parse the command line of `gridpulse-<name>`, load `settings`, serve health and call `run` until it returns.

    Exit codes: 0 after SIGTERM or Ctrl-C with the work committed, 1 after a failure (nothing uncommitted is lost: a restart
    goes on from the checkpoint), 2 for wrong settings.
    """

    def command() -> None:
        loaded = load(settings)
        logs.configure(name, style=loaded.log_format, level=loaded.log_level)
        disable_created_metrics()  # type: ignore[no-untyped-call]
        health = Health()
        health.add("start", lambda: "waiting for Kafka and the schema registry")
        if loaded.metrics_port:
            try:
                serve(health, loaded.metrics_host, loaded.metrics_port)
            except OSError as error:
                raise SystemExit(stop(f"{PREFIX}METRICS_PORT: cannot listen on {loaded.metrics_port}: {error}")) from None
        log = structlog.get_logger(f"gridpulse.{name}")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # while it waits for servers; Quix takes over once it runs
        try:
            run(loaded, health)
        except KeyboardInterrupt:
            sys.exit(130)
        except Exception:
            log.exception("stopped by a failure; what was not committed is done again at the next start")
            sys.exit(FAILED)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # an impatient second one must not turn the exit code into a failure
        log.info("stopped, work committed")

    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    intro = run.__doc__ or name
    app.command(help=f"{intro}\n\nSettings are environment variables, secrets also as <NAME>_FILE:\n\n{variables(settings)}")(
        command
    )
    app()
