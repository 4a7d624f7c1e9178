"""/metrics, /livez and /readyz on one small HTTP server."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

__all__ = ["Health", "serve"]

Check = Callable[[], str | None]


class Health:
    """What the process says of itself.

    Live: `beat` was called within `patience` seconds, or the app is still starting. Ready: every check returns None; a check
    that is not returns the reason.
    """

    def __init__(self, patience: float = 120.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.patience = patience
        self._clock = clock
        self._beat: float | None = None
        self._checks: dict[str, Check] = {}

    def beat(self) -> None:
        """Note that the processing loop has turned."""
        self._beat = self._clock()

    def add(self, name: str, check: Check) -> None:
        """Add, or replace, a condition of readiness. It is called from the server's threads."""
        self._checks[name] = check

    def not_live(self) -> str | None:
        """Reason why the process should be restarted, or None."""
        if self._beat is None or self._clock() - self._beat <= self.patience:
            return None
        return f"the loop has not turned for {self._clock() - self._beat:.0f} s"

    def reasons(self) -> dict[str, str | None]:
        """Every check with the reason why it fails, or None."""
        reasons: dict[str, str | None] = {}
        for name, check in list(self._checks.items()):
            try:
                reasons[name] = check()
            except Exception as error:  # noqa: BLE001  a check that breaks is a reason, not a crash of the server
                reasons[name] = f"{type(error).__name__}: {error}"
        return reasons

    def not_ready(self) -> dict[str, str]:
        """Failing checks with their reasons; empty when ready."""
        return {name: reason for name, reason in self.reasons().items() if reason is not None}


def serve(health: Health, host: str, port: int, registry: CollectorRegistry = REGISTRY) -> ThreadingHTTPServer:
    """Serve in daemon threads; the server, whose `shutdown` ends it. Raises OSError where the port is taken."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if path == "/metrics":
                self.answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            elif path == "/livez":
                reason = health.not_live()
                self.answer(503 if reason else 200, "text/plain; charset=utf-8", (reason or "ok").encode())
            elif path == "/readyz":
                reasons = health.not_ready()
                body = json.dumps({"ready": not reasons, "waiting_for": reasons}).encode()
                self.answer(503 if reasons else 200, "application/json", body)
            else:
                self.answer(404, "text/plain; charset=utf-8", b"/metrics /livez /readyz")

        def answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's name
            """Probes every few seconds are not news."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
