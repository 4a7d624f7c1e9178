"""gridpulse-alerter as a process, on the real Kafka and registry, with real receivers."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from standardwebhooks import Webhook

from gridpulse_alerter.progress import begin
from gridpulse_native import Stack
from gridpulse_native.provision.provisioner import Provisioner
from gridpulse_native.provision.recipes import ALERTMANAGER
from gridpulse_native.settings import NativeSettings
from gridpulse_runtime.kafka import PRODUCER, connect_codec, ensure_topics
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec
from gridpulse_schemas.topics import ALERTS_DLQ, ANOMALIES, SINKS_DLQ

pytestmark = pytest.mark.servers
START = 1_700_000_000_000
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
Make = Callable[..., Any]


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


@pytest.fixture
def inbox() -> Iterator[Make]:
    inboxes: list[Inbox] = []

    def make() -> Inbox:
        inboxes.append(Inbox())
        return inboxes[-1]

    yield make
    for one in inboxes:
        one.gate.set()
        one.server.shutdown()
        one.server.server_close()


@pytest.fixture
def alerts(tmp_path: Path, feeder: str) -> Make:
    """An alerts.toml whose receivers get what is of this test's feeder: {name: (url, more lines)}."""

    def write(more: str = "", **receivers: tuple[str, str]) -> str:
        tables = [f'[[receivers]]\nname = "{name}"\nurl = "{url}"\n{lines}\n' for name, (url, lines) in receivers.items()]
        route = f'[[routes]]\nfeeder = "{feeder}"\nreceivers = {json.dumps(list(receivers))}\n'
        path = tmp_path / "alerts.toml"
        path.write_text("".join(tables) + route + more)
        return str(path)

    return write


@pytest.fixture
def feeder() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def receiver(feeder: str) -> Iterator[Receiver]:
    receiver = Receiver(feeder)
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def kafka(stack: Stack) -> KafkaSettings:
    environment = stack.environment()
    settings = KafkaSettings(
        kafka_bootstrap=environment["GRIDPULSE_KAFKA_BOOTSTRAP"], schema_registry_url=environment["GRIDPULSE_SCHEMA_REGISTRY_URL"]
    )
    ensure_topics(settings, (ANOMALIES, ALERTS_DLQ, SINKS_DLQ))
    return settings


@pytest.fixture
def send(kafka: KafkaSettings, feeder: str) -> Make:
    """Send anomalies of `feeder`: (anomaly, revision, offset that decided it)."""
    producer = Producer({**kafka.kafka_client(), **PRODUCER})
    codec: Codec = connect_codec(kafka)

    def produce(*changes: tuple[str, int, int], at: int = 0, headers: Any = None, **facts: Any) -> None:
        """`at`: Kafka timestamp, now where 0; `facts`: fields of the events."""
        for anomaly, revision, offset in changes:
            value = codec.encode("AnomalyEvent", event(feeder, anomaly, revision, offset) | facts)
            producer.produce(ANOMALIES, value, feeder.encode(), timestamp=at, headers=headers)
        assert producer.flush(30) == 0

    return produce


@pytest.fixture
def start(start_app: Make) -> Make:
    """Start the alerter; its receivers are on loopback."""

    def run(**variables: str) -> Any:
        return start_app("alerter", GRIDPULSE_WEBHOOK_ALLOW_PRIVATE="true", **variables).wait_ready()

    return run


def event(feeder: str, anomaly: str, revision: int, offset: int) -> dict[str, Any]:
    return {
        "anomaly_id": anomaly,
        "revision": revision,
        "kind": "SAG",
        "severity": "WARNING",
        "state": "OPENED" if revision == 1 else "UPDATED",
        "asset_id": "meter-1",
        "asset_type": "METER",
        "feeder_id": feeder,
        "started_at": START,
        "ended_at": None,
        "detected_at": START + 1000,
        "rule": "voltage.sag",
        "evidence": {"topic": "meter.readings.valid", "partition": 0, "offset": offset, "ordinal": 0},
    }


def dead_letters(kafka: KafkaSettings, topic: str, key: str) -> list[Any]:
    """Messages of `key` that are in `topic` now."""
    consumer = Consumer({**kafka.kafka_client(), "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found, end = [], time.monotonic() + 5
    while time.monotonic() < end and not found:
        message = consumer.poll(0.2)
        if message is not None and not message.error() and message.key() == key.encode():
            found.append(message)
    consumer.close()
    return found


def test_each_change_is_delivered_once_signed_and_in_order(start: Make, until: Make, send: Make, receiver: Receiver) -> None:
    app = start(GRIDPULSE_WEBHOOK_URL=receiver.url, GRIDPULSE_WEBHOOK_SECRET=SECRET)
    changes = [(anomaly, revision, 10 * revision + n) for revision in (1, 2, 3) for n, anomaly in enumerate("abc")]
    send(*changes, *changes[4:], ("d", 1, 99))  # an upstream restart repeats some
    until(lambda: "d.1" in receiver.ids, "the last notification")
    assert app.stop() == 0
    assert sorted(receiver.ids) == sorted([*(f"{anomaly}.{revision}" for anomaly, revision, _ in changes), "d.1"])
    for anomaly in "abc":
        assert [name for name in receiver.ids if name[0] == anomaly] == [f"{anomaly}.{revision}" for revision in (1, 2, 3)]
    assert {payload["type"] for name, payload in receiver.deliveries if name.endswith(".1")} == {"anomaly.opened"}
    log = app.log.read_text()
    assert SECRET not in log
    assert receiver.url not in log


def test_nothing_is_lost_when_it_is_killed(start: Make, until: Make, send: Make, receiver: Receiver) -> None:
    variables = {"GRIDPULSE_WEBHOOK_URL": receiver.url, "GRIDPULSE_WEBHOOK_SECRET": SECRET, "GRIDPULSE_COMMIT_INTERVAL": "0.2"}
    app = start(**variables)
    expected = set()
    for turn in range(3):
        changes = [(f"x{offset}", 1, offset) for offset in range(100 * turn, 100 * turn + 100)]
        expected |= {f"{anomaly}.1" for anomaly, _, _ in changes}
        send(*changes)
        until(lambda turn=turn: len(set(receiver.ids)) > 100 * turn + 20, "some deliveries")
        app.kill()
        app = start(**variables)
    until(lambda: set(receiver.ids) >= expected, "all deliveries")
    assert app.stop() == 0
    assert set(receiver.ids) == expected
    first = dict(reversed(receiver.deliveries))
    assert all(payload == first[name] for name, payload in receiver.deliveries), "what comes again is the same, not only its id"

    receiver.deliveries.clear()
    app = start(**variables)
    send(*((f"x{offset}", 1, offset) for offset in range(300)), ("new", 1, 300))
    until(lambda: "new.1" in receiver.ids, "what is new")
    assert app.stop() == 0
    assert receiver.ids == ["new.1"], "a clean stop committed the rest"


def test_refused_is_dead_lettered_and_down_is_waited_for(
    start: Make, until: Make, send: Make, receiver: Receiver, kafka: KafkaSettings, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(SECRET)
    alerts = tmp_path / "alerts.toml"
    alerts.write_text(f'[[receivers]]\nname = "oncall"\nurl = "{receiver.url}"\nsecret_file = "secret"\n')
    app = start(GRIDPULSE_ALERTS=str(alerts))
    refused = uuid.uuid4().hex
    receiver.status = 422
    send((refused, 1, 1))
    until(lambda: app.metric("gridpulse_alerter_dead_letters_total", reason="refused") >= 1, "the dead letter")
    (letter,) = dead_letters(kafka, ALERTS_DLQ, refused)
    assert b'"anomaly.opened"' in letter.value()
    headers = dict(letter.headers())
    assert (headers["gridpulse-reason"], headers["gridpulse-receiver"]) == (b"refused", b"oncall")

    receiver.status = 503
    send(("late", 1, 2), ("late", 2, 3))
    until(lambda: app.metric("gridpulse_alerter_pauses_total") >= 2, "two pauses")
    answer = app.get("/readyz")
    assert answer is not None
    assert "oncall: receiver" in answer.json()["waiting_for"]
    tries = len(receiver.deliveries)
    receiver.status = 204
    until(lambda: receiver.ids[-1] == "late.2", "the last notification")
    assert receiver.ids.count("late.2") == 1
    assert set(receiver.ids[1:tries]) <= {"late.1", f"{refused}.1"}
    app.wait_ready()
    assert app.stop() == 0


def test_without_receivers_it_says_so_and_counts(start: Make, until: Make, send: Make) -> None:
    app = start()
    send(("a", 1, 1))
    until(lambda: app.metric("gridpulse_alerter_notifications_total", outcome="no_receiver") >= 1, "the count")
    assert "GRIDPULSE_WEBHOOK_URL" in app.log.read_text()
    assert app.stop() == 0


def test_a_receiver_that_hangs_delays_nobody_else(start: Make, until: Make, send: Make, inbox: Make, alerts: Make) -> None:
    hangs, quick = inbox(), inbox()
    hangs.gate.clear()
    path = alerts(hangs=(hangs.url, ""), quick=(quick.url, ""))
    app = start(GRIDPULSE_ALERTS=path, GRIDPULSE_COMMIT_INTERVAL="0.2")
    send(*((f"x{offset}", 1, offset) for offset in range(50)))
    until(lambda: len(quick.ids) == 50 and hangs.waiting > 0, "all deliveries to one, and a try at the other")
    until(lambda: app.metric("gridpulse_alerter_pauses_total", receiver="hangs") >= 1, "reading for the other to pause")
    assert app.metric("gridpulse_alerter_pauses_total", receiver="quick") == 0
    until(lambda: app.metric("gridpulse_alerter_consumer_lag_messages", receiver="quick") == 0, "no lag")
    assert list(app.get("/readyz").json()["waiting_for"]) == ["hangs: receiver"]

    send(("last", 1, 99))
    until(lambda: "last" in quick.ids, "another one")
    assert hangs.posts == []
    hangs.gate.set()
    until(lambda: set(hangs.ids) == {*(f"x{offset}" for offset in range(50)), "last"}, "what it had missed", 120)
    assert app.stop() == 0
    assert len(quick.ids) == len(set(quick.ids)) == 51


def test_what_comes_within_the_wait_is_one_notification(start: Make, until: Make, send: Make, inbox: Make, alerts: Make) -> None:
    soon, late = inbox(), inbox()
    path = alerts(soon=(soon.url, 'group_wait = "1s"'), late=(late.url, 'group_wait = "10m"'))
    app = start(GRIDPULSE_ALERTS=path, GRIDPULSE_COMMIT_INTERVAL="0.1")
    send(*((f"x{offset}", 1, offset) for offset in range(4)))
    until(lambda: len(members(soon)) == 4, "the first group")
    send(*((f"x{offset}", 1, offset) for offset in range(4, 7)))
    until(lambda: len(members(soon)) == 7, "the second group")
    until(lambda: app.metric("gridpulse_alerter_messages_total", receiver="late") >= 7, "the other to read all")
    assert late.posts == []
    assert app.stop() == 0, "a clean stop sends what has gathered"
    assert members(soon) == members(late) == [f"x{offset}.1" for offset in range(7)]
    assert {body["type"] for body in soon.bodies + late.bodies} == {"anomalies.group"}
    assert len(late.posts) == 1


def members(inbox: Inbox) -> list[str]:
    return [member["id"] for body in inbox.bodies for member in body["data"]["anomalies"]]


def test_beyond_the_rate_one_summary_tells_the_rest(start: Make, until: Make, send: Make, inbox: Make, alerts: Make) -> None:
    one = inbox()
    path = alerts(a=(one.url, "rate = 3"))
    app = start(GRIDPULSE_ALERTS=path)
    send(*((f"x{offset}", 1, offset) for offset in range(20)))
    until(lambda: len(one.ids) == 3, "those within the rate")
    until(lambda: app.metric("gridpulse_alerter_messages_total", receiver="a") >= 20, "the others to be read")
    app.kill()
    app = start(GRIDPULSE_ALERTS=path)
    until(lambda: len(one.ids) == 6, "the same again: their offsets wait for the summary")
    until(lambda: app.metric("gridpulse_alerter_messages_total", receiver="a") >= 20, "the others to be read")
    assert app.stop() == 0, "a clean stop does not wait for the minute's end"
    assert sorted(set(one.ids)) == ["x0", "x1", "x2"]
    (summary,) = [body for body in one.bodies if body["type"] == "anomalies.summary"]
    assert (summary["data"]["count"], summary["data"]["by_kind"]) == (17, {"SAG": 17})
    start(GRIDPULSE_ALERTS=path).stop()
    assert len(one.posts) == 7, "nothing was left over"


def test_slack_gets_its_own_json_and_its_address_stays_secret(
    start: Make, until: Make, send: Make, inbox: Make, tmp_path: Path, feeder: str
) -> None:
    one = inbox()
    (tmp_path / "slack.url").write_text(f"{one.url}/services/s3cret\n")
    path = tmp_path / "alerts.toml"
    path.write_text(f"""
[[receivers]]
name = "chat"
type = "slack"
url_file = "slack.url"
[[routes]]
feeder = "{feeder}"
receivers = "chat"
""")
    app = start(GRIDPULSE_ALERTS=str(path), GRIDPULSE_LOG_LEVEL="DEBUG")
    one.status = 503
    send(("a", 1, 1), reason="<!channel>")
    until(lambda: app.metric("gridpulse_alerter_pauses_total") >= 1, "a failure")
    one.status = 404
    until(lambda: app.metric("gridpulse_alerter_dead_letters_total") >= 1, "a refusal")
    assert app.stop() == 0
    (where, body) = one.posts[0]
    assert where == "/services/s3cret"
    assert "&lt;!channel&gt;" in body["text"]
    assert body["blocks"]
    assert "s3cret" not in app.log.read_text()


def test_a_new_receiver_begins_with_its_history(start: Make, until: Make, send: Make, inbox: Make, alerts: Make) -> None:
    short, none = inbox(), inbox()
    send(("before", 1, 1))
    path = alerts(short=(short.url, ""), none=(none.url, 'history = "0"'))
    app = start(GRIDPULSE_ALERTS=path)
    send(("now", 1, 2))
    until(lambda: "now" in short.ids and "now" in none.ids, "the newest")
    assert app.stop() == 0
    assert (sorted(short.ids), none.ids) == (["before", "now"], ["now"])


def test_history_is_counted_by_the_records_timestamps(kafka: KafkaSettings) -> None:
    topic, hour = f"history-{uuid.uuid4().hex}", 3600
    admin = AdminClient(kafka.kafka_client())
    admin.create_topics([NewTopic(topic, num_partitions=2)])[topic].result()
    producer, now = Producer({**kafka.kafka_client(), **PRODUCER}), time.time()
    for hours_ago in (25, 0.5, 0.1):
        producer.produce(topic, b"", partition=0, timestamp=round((now - hours_ago * hour) * 1000))
    assert producer.flush(30) == 0

    def begun(history: float, group: str) -> dict[int, int]:
        begin(kafka, group, history, topic)
        consumer = Consumer({**kafka.kafka_client(), "group.id": group})
        places = consumer.committed([TopicPartition(topic, partition) for partition in (0, 1)], 30)
        consumer.close()
        return {place.partition: place.offset for place in places}

    name = uuid.uuid4().hex
    assert begun(hour, name) == {0: 1, 1: 0}
    assert begun(0, f"{name}-0") == {0: 3, 1: 0}
    assert begun(48 * hour, f"{name}-48") == {0: 0, 1: 0}
    assert begun(48 * hour, name) == {0: 1, 1: 0}, "it has begun already"


def test_what_a_window_hid_is_told_once_when_it_is_over(
    start: Make, until: Make, send: Make, inbox: Make, alerts: Make, feeder: str
) -> None:
    one, now = inbox(), round(time.time() * 1000)
    begin, end = now - 600_000, now - 90_000

    def text(moment: int) -> str:
        return datetime.fromtimestamp(moment / 1000, UTC).isoformat()

    window = f'[[maintenance]]\nreason = "busbar"\nfrom = {text(begin)}\nuntil = {text(end)}\nfeeder = "{feeder}"\n'
    path = alerts(window, a=(one.url, ""))
    inside = {"started_at": begin + 1000, "detected_at": begin + 2000}
    send(("x", 1, 1), ("y", 1, 2), at=begin + 3000, **inside)
    send(("x", 2, 3), at=begin + 9000, **{**inside, "state": "CLOSED", "ended_at": begin + 5000})
    send(("after", 1, 4), started_at=now, detected_at=now)
    app = start(GRIDPULSE_ALERTS=path)
    until(lambda: len(one.posts) == 2, "what came after the window, and the summary")
    assert one.ids == ["after"]
    (summary,) = [body["data"] for body in one.bodies if body["type"] == "maintenance.summary"]
    assert (summary["count"], summary["reason"]) == (3, "busbar")
    assert [still["anomaly_id"] for still in summary["still_open"]] == ["y"]
    until(lambda: app.metric("gridpulse_alerter_notifications_total", outcome="hidden") == 3, "the count")
    assert app.stop() == 0
    lines = [json.loads(line) for line in app.log.read_text().splitlines() if line.startswith("{")]
    assert sorted(line["id"] for line in lines if line["event"] == "hidden by maintenance") == ["x.1", "x.2", "y.1"]

    app = start(GRIDPULSE_ALERTS=path)
    send(("new", 1, 9), started_at=now, detected_at=now)
    until(lambda: "new" in one.ids, "what is new")
    until(lambda: app.metric("gridpulse_alerter_consumer_lag_messages", receiver="a") == 0, "no lag")
    assert app.stop() == 0
    assert len(one.posts) == 3, "the summary does not come again"


def test_what_is_redriven_reaches_the_one_it_is_for(start: Make, until: Make, send: Make, inbox: Make, alerts: Make) -> None:
    a, b = inbox(), inbox()
    app = start(GRIDPULSE_ALERTS=alerts(a=(a.url, ""), b=(b.url, "")))
    send(("x", 1, 1), ("y", 1, 2))
    until(lambda: len(a.ids) == len(b.ids) == 2, "both")
    send(("x", 1, 1), headers=[("gridpulse-redrive", b"influx-sink")])
    send(("x", 1, 1), headers=[("gridpulse-redrive", b"alerter"), ("gridpulse-receiver", b"b")])
    send(("y", 1, 2), headers=[("gridpulse-redrive", b"alerter")])
    send(("z", 1, 3))
    until(lambda: "z" in a.ids and "z" in b.ids, "the last")
    assert app.stop() == 0
    assert sorted(a.ids) == ["x", "y", "y", "z"]
    assert sorted(b.ids) == ["x", "x", "y", "y", "z"]


@pytest.fixture
def alertmanager(tmp_path: Path, free_port: Make, until: Make) -> Iterator[str]:
    """URL of a real Prometheus Alertmanager: that on PATH, else the one of the cache, built where it is not there."""
    found = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if found is None:
        found = str(Provisioner(NativeSettings.from_environment(), print).build(ALERTMANAGER) / "alertmanager")
    (tmp_path / "am.yml").write_text("route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n")
    address = f"127.0.0.1:{free_port()}"
    command = [found, f"--config.file={tmp_path / 'am.yml'}", f"--storage.path={tmp_path / 'am'}"]
    command += [f"--web.listen-address={address}", "--cluster.listen-address="]
    with (tmp_path / "am.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            until(lambda: answers(f"http://{address}/-/ready"), "Alertmanager ready")
            yield f"http://{address}"
        finally:
            process.terminate()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def test_alertmanager_shows_it_firing_escalated_and_resolved(
    start: Make, until: Make, send: Make, alerts: Make, alertmanager: str, feeder: str
) -> None:
    app = start(GRIDPULSE_ALERTS=alerts(prom=(alertmanager, 'type = "alertmanager"')))

    def firing() -> list[tuple[str, str]]:
        found = httpx.get(f"{alertmanager}/api/v2/alerts", params={"filter": f'feeder="{feeder}"'}).json()
        return sorted((alert["labels"]["anomaly_id"], alert["labels"]["severity"]) for alert in found)

    send(("x", 1, 1), ("y", 1, 2), reason="Sag to 190 V")
    until(lambda: firing() == [("x", "WARNING"), ("y", "WARNING")], "both firing")
    (alert,) = httpx.get(f"{alertmanager}/api/v2/alerts", params={"filter": 'anomaly_id="x"'}).json()
    assert alert["labels"]["alertname"] == "SAG"
    assert alert["annotations"]["summary"] == "Sag to 190 V"
    send(("x", 2, 3), severity="CRITICAL")
    until(lambda: firing() == [("x", "CRITICAL"), ("y", "WARNING")], "one escalated")
    send(("x", 3, 4), severity="CRITICAL", state="CLOSED", ended_at=START + 9000)
    until(lambda: firing() == [("y", "WARNING")], "one resolved")
    send(("y", 2, 5), state="RETRACTED", ended_at=START + 9000)
    until(lambda: firing() == [], "both resolved")
    assert app.stop() == 0
