"""A small webhook receiver, as a customer would run one: it checks each signature and counts each webhook-id once.

It needs one package besides Python's own, so that compose/demo.yaml can run this file alone in the alerter's image.
"""

import argparse
import json
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

__all__ = ["Receiver"]


class Receiver:
    """Alerts go to `path` (None: standard output) as JSON lines, and into `alerts` by webhook-id. Port 0: any that is free."""

    def __init__(self, secret: str, path: Path | None, host: str = "127.0.0.1", port: int = 0) -> None:
        self.alerts: dict[str, dict[str, Any]] = {}
        self.repeats = self.refused = 0
        self._webhook = Webhook(secret)
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8") if path else sys.stdout
        self._server = ThreadingHTTPServer((host, port), self._handler())
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
        if self._file is not sys.stdout:
            self._file.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(receiver.take(body, {name.lower(): value for name, value in self.headers.items()}))
                self.send_header("content-length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                self.send_response(200 if self.path == "/livez" else 404)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's name
                """The board shows what arrives."""

        return Handler


def main() -> None:
    """Receive until SIGTERM, and print each alert."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104  in a container
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--secret-file", type=Path, required=True, help="file with the whsec_… that deliveries are signed with")
    options = parser.parse_args()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    receiver = Receiver(options.secret_file.read_text("utf-8").strip(), None, options.host, options.port)
    while not stopped.wait(1):  # an endless wait could miss a signal that comes as it begins
        pass
    receiver.close()


if __name__ == "__main__":
    main()
