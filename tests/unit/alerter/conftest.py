import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from gridpulse_alerter.change import Change


@pytest.fixture
def event(event: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """One that came half a second after its reading."""
    late = {"anomaly_id": "a" * 32, "expected": None, "detected_at": 1_700_000_001_500, "reading_timestamp": 1_700_000_001_500}
    return lambda **changes: event(**late | changes)


@pytest.fixture
def change(event: Callable[..., dict[str, Any]]) -> Callable[..., Change]:
    def make(**changes: Any) -> Change:
        return Change(event(**changes), "grid.anomalies", 1, 2, 3)

    return make


class WebhookServer:
    """A receiver that answers what it is told (status, headers, maybe a body): `answers` one by one, then `always`."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.always: Any = (204, {})
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.paths: list[str] = []
        self.clients: list[Any] = []
        self.gate: threading.Event | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.gate is not None:
                    outer.gate.wait(10)
                outer.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
                outer.paths.append(self.path)
                outer.clients.append(self.client_address)
                status, headers, *answer = outer.answers.pop(0) if outer.answers else outer.always
                self.send_response(status)
                for name, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(b"".join(answer))

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.requests]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server() -> Iterator[WebhookServer]:
    server = WebhookServer()
    yield server
    server.close()


@pytest.fixture
def other_server() -> Iterator[WebhookServer]:
    server = WebhookServer()
    yield server
    server.close()
