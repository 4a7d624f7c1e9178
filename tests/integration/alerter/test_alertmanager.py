"""gridpulse-alerter on the real Kafka and registry: what a real Prometheus Alertmanager shows."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from alert_events import START

from gridpulse_native.http import HTTP
from gridpulse_native.provision.provisioner import Provisioner
from gridpulse_native.provision.recipes import ALERTMANAGER
from gridpulse_native.settings import NativeSettings

pytestmark = pytest.mark.servers
Make = Callable[..., Any]


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
        return HTTP.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def test_alertmanager_shows_it_firing_escalated_and_resolved(
    start: Make, until: Make, send: Make, alerts: Make, alertmanager: str, feeder: str
) -> None:
    app = start(GRIDPULSE_ALERTS=alerts(prom=(alertmanager, 'type = "alertmanager"')))

    def firing() -> list[tuple[str, str]]:
        found = HTTP.get(f"{alertmanager}/api/v2/alerts", params={"filter": f'feeder="{feeder}"'}).json()
        return sorted((alert["labels"]["anomaly_id"], alert["labels"]["severity"]) for alert in found)

    send(("x", 1, 1), ("y", 1, 2), reason="Sag to 190 V")
    until(lambda: firing() == [("x", "WARNING"), ("y", "WARNING")], "both firing")
    (alert,) = HTTP.get(f"{alertmanager}/api/v2/alerts", params={"filter": 'anomaly_id="x"'}).json()
    assert alert["labels"]["alertname"] == "SAG"
    assert alert["annotations"]["summary"] == "Sag to 190 V"
    send(("x", 2, 3), severity="CRITICAL")
    until(lambda: firing() == [("x", "CRITICAL"), ("y", "WARNING")], "one escalated")
    send(("x", 3, 4), severity="CRITICAL", state="CLOSED", ended_at=START + 9000)
    until(lambda: firing() == [("y", "WARNING")], "one resolved")
    send(("y", 2, 5), state="RETRACTED", ended_at=START + 9000)
    until(lambda: firing() == [], "both resolved")
    assert app.stop() == 0
