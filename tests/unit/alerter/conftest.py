import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from gridpulse_alerter.change import Change


@pytest.fixture
def event() -> Callable[..., dict[str, Any]]:
    def make(**changes: Any) -> dict[str, Any]:
        return {
            "anomaly_id": "a" * 32,
            "revision": 1,
            "kind": "SAG",
            "severity": "WARNING",
            "state": "OPENED",
            "asset_id": "meter-1",
            "asset_type": "METER",
            "feeder_id": "feeder-1",
            "started_at": 1_700_000_000_000,
            "ended_at": None,
            "detected_at": 1_700_000_001_500,
            "observed": 190.5,
            "expected": None,
            "lower": 207.0,
            "upper": 253.0,
            "unit": "V",
            "score": 0.75,
            "rule": "voltage.sag",
            "rule_version": "abc",
            "reading_count": 3,
            "peak": 188.0,
            "reading_timestamp": 1_700_000_001_500,
            "evidence": {"topic": "meter.readings.valid", "partition": 0, "offset": 7, "ordinal": 0},
            **changes,
        }

    return make


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


class Box:
    """A DeadLetterBox without Kafka."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []
        self.sent: list[Any] = []

    def put(self, letter: Any) -> None:
        self.waiting.append(letter)

    def clear(self) -> None:
        self.waiting = []

    def take(self) -> list[Any]:
        letters, self.waiting = self.waiting, []
        return letters

    def send(self, letters: list[Any]) -> None:
        self.sent += letters


@pytest.fixture
def make_box() -> Callable[[], Box]:
    return Box
