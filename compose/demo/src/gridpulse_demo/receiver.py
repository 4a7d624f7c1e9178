"""A small webhook receiver, as a customer would run one: it checks each signature and counts each webhook-id once."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

__all__ = ["Receiver"]


class Receiver:
    """Listens on loopback; alerts go to `path` as JSON lines, and into `alerts` by webhook-id."""

    def __init__(self, secret: str, path: Path) -> None:
        self.alerts: dict[str, dict[str, Any]] = {}
        self.repeats = self.refused = 0
        self._webhook = Webhook(secret)
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/alerts"
        threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True).start()

    def take(self, body: bytes, headers: dict[str, str]) -> int:
        """HTTP status for one delivery."""
        try:
            payload = self._webhook.verify(body, headers)
        except WebhookVerificationError:
            with self._lock:
                self.refused += 1
            return 401
        name = headers["webhook-id"]
        with self._lock:
            if name in self.alerts:
                self.repeats += 1
            else:
                self.alerts[name] = payload
                self._file.write(json.dumps(payload) + "\n")
                self._file.flush()
        return 204

    def newest(self, count: int) -> list[dict[str, Any]]:
        """The last `count` alerts, newest first."""
        with self._lock:
            return list(self.alerts.values())[: -count - 1 : -1]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._file.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(receiver.take(body, {name.lower(): value for name, value in self.headers.items()}))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's name
                """The board shows what arrives."""

        return Handler
