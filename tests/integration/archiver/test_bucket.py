"""The archiver's bucket, on both object stores."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from gridpulse_archiver.store import Bucket
from gridpulse_runtime.errors import UnavailableError
from gridpulse_runtime.object_store import ObjectStoreSettings

pytestmark = pytest.mark.servers
Make = Callable[..., Any]


def test_the_bucket(s3: dict[str, str], bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {**s3, "GRIDPULSE_S3_BUCKET": bucket}.items():
        monkeypatch.setenv(name, value)
    store = Bucket(ObjectStoreSettings())
    assert store.get("a") is None
    assert list(store.names("")) == []
    assert store.folders("_ledger/") == []
    assert not store.fetch("a", tmp_path / "a")
    assert store.create("_ledger/t/0/1.json", b"one"), "the bucket is made"
    assert not store.create("_ledger/t/0/1.json", b"two")
    assert store.get("_ledger/t/0/1.json") == b"one"
    won: list[int] = []
    threads = [
        threading.Thread(target=lambda n=number: won.append(n) if store.create("_ledger/t/1/race", b"%d" % n) else None)
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.get("_ledger/t/1/race") == b"%d" % won[0]
    assert store.folders("_ledger/") == ["t"]
    assert store.folders("_ledger/t/") == ["0", "1"]
    names = [f"many/{number:04d}" for number in range(1005)]
    for name in names:
        store.put(name, b"x")
    assert list(store.names("many/")) == names, "a listing of more than one page"
    assert list(store.names("many/", after=names[997])) == names[998:]
    (tmp_path / "file").write_bytes(b"content")
    store.put_file("many/file", tmp_path / "file")
    assert store.fetch("many/file", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == b"content"
    store.remove([*names, "many/none"])
    assert list(store.names("many/")) == ["many/file"]
    assert store.check() is None


@pytest.fixture
def forgetful(s3: dict[str, str]) -> Iterator[str]:
    """The store behind a proxy that drops If-None-Match, as a store does that does not know it; its address."""
    behind = urlsplit(s3["GRIDPULSE_S3_ENDPOINT"]).netloc

    class Proxy(BaseHTTPRequestHandler):
        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            upstream = HTTPConnection(behind, timeout=20)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "if-none-match"}
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name in ("Content-Type", "ETag", "Last-Modified"):
                if answer.headers.get(name):
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            upstream.close()

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = forward  # noqa: N815  http.server's names

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_store_without_conditional_puts_is_asked_first(
    s3: dict[str, str], forgetful: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**s3, "GRIDPULSE_S3_BUCKET": bucket, "GRIDPULSE_S3_ENDPOINT": forgetful}.items():
        monkeypatch.setenv(name, value)
    store = Bucket(ObjectStoreSettings())
    with capture_logs() as logs:
        assert store.create("a", b"one")
        assert not store.create("a", b"two")
    assert store.get("a") == b"one"
    assert [line["log_level"] for line in logs if "If-None-Match" in line["event"]] == ["warning"]


@pytest.fixture
def killing(s3: dict[str, str]) -> Iterator[str]:
    """The store behind a proxy that passes on a request's head and ends, as a writer does that is killed there; its address."""
    behind = urlsplit(s3["GRIDPULSE_S3_ENDPOINT"])

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client, socket.create_connection((behind.hostname, behind.port), 20) as server:
                received = b""
                while b"\r\n\r\n" not in received:
                    received += client.recv(65_536)
                server.sendall(received[: received.index(b"\r\n\r\n") + 4])
                server.shutdown(socket.SHUT_WR)
                while server.recv(65_536):  # until the store is done with it
                    pass

    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_what_a_killed_writer_did_not_send_is_not_there(
    s3: dict[str, str], killing: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**s3, "GRIDPULSE_S3_BUCKET": bucket}.items():
        monkeypatch.setenv(name, value)
    store = Bucket(ObjectStoreSettings())
    assert store.create("_ledger/t/0/0.json", b"the bucket and the probe are made")
    monkeypatch.setenv("GRIDPULSE_S3_ENDPOINT", killing)
    killed = Bucket(ObjectStoreSettings())
    killed._guards = True  # else it would ask for that first
    for store_it in (killed.create, killed.put):
        with pytest.raises(UnavailableError):
            store_it("_ledger/t/0/1.json", b"an entry")
        assert store.get("_ledger/t/0/1.json") is None
