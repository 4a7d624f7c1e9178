"""Receivers of alerts, on loopback. Imported by the tests beside it."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


class QuietHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def serve(handler: type[BaseHTTPRequestHandler]) -> tuple[ThreadingHTTPServer, str]:
    """A server on loopback, in the background, and its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}"


class Receiver:
    """Verifies each delivery; answers `status` to those of `feeder`, 204 to what other tests left in the topic."""

    def __init__(self, feeder: str) -> None:
        self.status = 204
        self.deliveries: list[tuple[str, dict[str, Any]]] = []
        outer, webhook = self, Webhook(SECRET)

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                payload = webhook.verify(body, dict(self.headers))
                mine = payload["data"]["feeder_id"] == feeder
                status = outer.status if mine else 204
                if mine:
                    outer.deliveries.append((self.headers["webhook-id"], payload))
                self.answer(status)

        self.server, root = serve(Handler)
        self.url = f"{root}/hook"

    @property
    def ids(self) -> list[str]:
        return [name for name, _ in self.deliveries]


class Inbox:
    """Keeps what is posted, as (path, body); holds its answers back while `gate` is shut."""

    def __init__(self) -> None:
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = 0
        self.posts: list[tuple[str, Any]] = []
        outer = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not outer.gate.is_set():
                    outer.waiting += 1
                    outer.gate.wait(120)
                outer.posts.append((self.path, json.loads(body)))
                with contextlib.suppress(ConnectionError):
                    self.answer(outer.status)

        self.server, self.url = serve(Handler)

    @property
    def bodies(self) -> list[Any]:
        return [body for _, body in self.posts]

    @property
    def ids(self) -> list[str]:
        """Ids of the anomalies that came one by one."""
        return [body["data"]["anomaly_id"] for body in self.bodies if body["type"] == "anomaly.opened"]
