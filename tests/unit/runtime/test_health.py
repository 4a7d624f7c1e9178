"""/metrics, /livez and /readyz, asked over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from gridpulse_native.http import HTTP
from gridpulse_runtime.health import Health, serve


class Served:
    """A health server on a port of its own, with a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.registry = CollectorRegistry()
        self.health = Health(patience=120, clock=lambda: self.now)
        self.server = serve(self.health, "127.0.0.1", 0, self.registry)
        self.port = self.server.server_address[1]

    def get(self, path: str) -> httpx.Response:
        return HTTP.get(f"http://127.0.0.1:{self.port}{path}", timeout=10)


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.server.shutdown()
    served.server.server_close()


def test_ready_when_nothing_is_waited_for(served: Served) -> None:
    answer = served.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "waiting_for": {}}


def test_not_ready_says_why(served: Served) -> None:
    served.health.add("state", lambda: "state is being recovered")
    served.health.add("fine", lambda: None)
    answer = served.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "waiting_for": {"state": "state is being recovered"}}
    served.health.add("state", lambda: None)
    assert served.get("/readyz").status_code == 200


def test_a_check_that_breaks_is_a_reason(served: Served) -> None:
    def broken() -> str | None:
        raise ConnectionError("no route")

    served.health.add("destination", broken)
    answer = served.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["waiting_for"] == {"destination": "ConnectionError: no route"}


def test_live_while_starting_and_while_the_loop_turns(served: Served) -> None:
    served.now = 10_000
    assert served.get("/livez").status_code == 200
    served.health.beat()
    served.now += 120
    assert served.get("/livez").text == "ok"
    served.now += 1
    answer = served.get("/livez")
    assert (answer.status_code, answer.text) == (503, "the loop has not turned for 121 s")
    served.health.beat()
    assert served.get("/livez").status_code == 200


def test_metrics_in_the_format_of_prometheus(served: Served) -> None:
    Counter("gridpulse_test_things", "Things", registry=served.registry).inc(3)
    answer = served.get("/metrics?x=1")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "gridpulse_test_things_total 3.0" in answer.text


def test_other_paths_are_told_which_there_are(served: Served) -> None:
    answer = served.get("/")
    assert (answer.status_code, answer.text) == (404, "/metrics /livez /readyz")


def test_a_taken_port_is_an_error_at_start(served: Served) -> None:
    with pytest.raises(OSError, match="in use"):
        serve(Health(), "127.0.0.1", served.port)
