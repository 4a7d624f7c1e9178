"""The client against a small HTTP server that answers what InfluxDB answers."""

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from gridpulse_influx_sink.influx import Influx
from gridpulse_influx_sink.settings import InfluxSinkSettings
from gridpulse_runtime.errors import RefusedError, UnavailableError

TOKEN = "secret-token"  # noqa: S105


class Server:
    """Answers writes with `answer` (status, headers, JSON); has the bucket or not."""

    def __init__(self) -> None:
        self.answer: tuple[int, dict[str, str], Any] = (204, {}, None)
        self.has_bucket = True
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        self.made: list[dict[str, Any]] = []
        self.delay = threading.Event()
        self.delay.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.paths.append(self.path)
                found = [{"id": "1", "name": "gridpulse", "retentionRules": []}] if outer.has_bucket else []
                if "/orgs" in self.path:
                    self.reply(200, {}, {"orgs": [{"id": "0123456789abcdef", "name": "gridpulse"}]})
                else:
                    self.reply(200, {}, {"buckets": found})

            def do_POST(self) -> None:
                outer.delay.wait()
                outer.paths.append(self.path)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path.startswith("/api/v2/buckets"):
                    outer.has_bucket = True
                    outer.made.append(json.loads(body))
                    self.reply(201, {}, {"id": "1", "name": "gridpulse", "retentionRules": []})
                elif not outer.has_bucket:
                    self.reply(404, {}, {"code": "not found", "message": 'bucket "gridpulse" not found'})
                else:
                    assert self.headers["Content-Encoding"] == "gzip"
                    outer.bodies.append(gzip.decompress(body))
                    self.reply(*outer.answer)

            def reply(self, status: int, headers: dict[str, str], content: Any) -> None:
                body = b"" if content is None else json.dumps(content).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def client(url: str, **settings: Any) -> Influx:
    return Influx(InfluxSinkSettings(influx_url=url, influx_token=TOKEN, **{"influx_timeout": 2, **settings}))


def test_lines_go_out_as_they_are(server: Server) -> None:
    client(server.url).write("m,a=\\,\\ é f=1i 5\nm f=2i 6")
    assert server.bodies == ["m,a=\\,\\ é f=1i 5\nm f=2i 6".encode()]
    assert "precision=ms" in server.paths[0]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_refusals(server: Server, status: int) -> None:
    server.answer = (status, {}, {"message": "unable to parse"})
    with pytest.raises(RefusedError, match="unable to parse"):
        client(server.url).write("m f=1i 5")


@pytest.mark.parametrize(("status", "headers", "asked"), [(503, {}, None), (429, {"Retry-After": "12"}, 12.0), (401, {}, None)])
def test_outages(server: Server, status: int, headers: dict[str, str], asked: float | None) -> None:
    server.answer = (status, headers, {"message": "no"})
    with pytest.raises(UnavailableError) as raised:
        client(server.url).write("m f=1i 5")
    assert raised.value.retry_after == asked
    assert TOKEN not in str(raised.value)


def test_nobody_there(server: Server) -> None:
    server.close()
    influx = client(server.url)
    with pytest.raises(UnavailableError, match="GRIDPULSE_INFLUX_URL"):
        influx.write("m f=1i 5")
    assert "does not answer" in (influx.check() or "")


EXPIRY = {"type": "expire", "everySeconds": 7 * 86_400}


@pytest.mark.parametrize(("retention", "rules"), [("7d", [EXPIRY]), ("0", [])])
def test_a_missing_bucket_is_made_with_its_retention(server: Server, retention: str, rules: list[Any]) -> None:
    server.has_bucket = False
    influx = client(server.url, influx_retention=retention)
    with pytest.raises(UnavailableError):
        influx.write("m f=1i 5")
    influx.write("m f=1i 5")
    assert server.bodies == [b"m f=1i 5"]
    assert [made.get("retentionRules", []) for made in server.made] == [rules]


def test_points_older_than_the_bucket_keeps_are_no_refusal(server: Server) -> None:
    told = "failure writing points to database: partial write: dropped 3 points outside retention policy of duration 168h0m0s - …"
    server.answer = (422, {}, {"code": "unprocessable entity", "message": told})
    assert client(server.url).write("m f=1i 5") == 3


def test_a_server_that_does_not_answer_in_time_is_an_outage(server: Server) -> None:
    server.delay.clear()
    try:
        with pytest.raises(UnavailableError, match="does not answer"):
            client(server.url, influx_timeout=0.2).write("m f=1i 5")
    finally:
        server.delay.set()


def test_readiness_is_asked_seldom(server: Server) -> None:
    influx = client(server.url)
    assert [influx.check() for _ in range(20)] == [None] * 20
    assert len(server.paths) == 1


def test_a_missing_token_ends_the_program_with_a_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        Influx(InfluxSinkSettings(influx_token=None))
    assert raised.value.code == 2
    assert "GRIDPULSE_INFLUX_TOKEN" in capsys.readouterr().err
