"""The report in a real browser: it draws, its filters work, it looks like something, and it asks the network for nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--enable-logging=stderr", "--virtual-time-budget=4000",
)  # fmt: skip
T0 = 1_700_000_040
Open = Callable[..., str]


@pytest.fixture(scope="session")
def chromium() -> str:
    """A Chromium; installed from the distribution where there is none and we may."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and shutil.which("apt-get") and os.geteuid() == 0:
        for step in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core"]):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(["apt-get", *step], check=False, stdin=subprocess.DEVNULL, env=environment, timeout=280)
        found = shutil.which("chromium")
    if found is None:
        pytest.fail("no Chromium: install the package `chromium` (as root: apt-get install chromium), or put one on PATH")
    return found


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six meters for ten minutes: two sag, one swells, one is cut off."""
    folder = tmp_path_factory.mktemp("report")
    rows = ["timestamp,meter_id,voltage,current"]
    for second in range(600):
        for meter in range(6):
            volts = 230 + (second * 7 + meter * 5) % 13 / 10
            if meter in (1, 4) and 200 + meter * 20 <= second < 230 + meter * 20:
                volts = 198
            if meter == 2 and 400 <= second < 402:
                volts = 262
            if meter == 3 and second >= 500:
                volts = 2
            rows.append(f"{T0 + second},meter-{meter},{volts},{8 + second % 4}")
    (folder / "grid.csv").write_text("\n".join(rows) + "\n")
    program = Path(sys.executable).parent / "gridpulse-detector"
    command = [program, "replay", folder / "grid.csv", "--report", folder / "r.html", "--out", folder / "a.jsonl"]
    subprocess.run(command, check=True, timeout=250)
    return folder / "r.html"


@pytest.fixture
def browse(chromium: str, tmp_path: Path) -> Open:
    def call(page: Path, *flags: str, fragment: str = "") -> str:
        address = f"{page.as_uri()}#{fragment}"
        command = [chromium, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, address]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        told = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        assert not told, "the page complains: " + "\n".join(told)
        return done.stdout

    return call


class Page(HTMLParser):
    """What the tests look at of a drawn page."""

    def __init__(self, dom: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.shapes: dict[str, int] = {}
        self.texts: dict[str, str] = {}
        self._inside: list[str] = []
        self.feed(dom)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        for name in (given.get("class") or "").split():
            self.shapes[name] = self.shapes.get(name, 0) + 1
        if tag == "tr" and "data-id" in given:
            self.rows.append([])
        self._inside.append(given.get("id") or "")

    def handle_endtag(self, tag: str) -> None:
        del tag
        if self._inside:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside:
            return
        if "rows" in self._inside and self.rows and data.strip():
            self.rows[-1].append(data)
        self.texts[self._inside[-1]] = self.texts.get(self._inside[-1], "") + data


def anomalies(report: Path) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in (report.parent / "a.jsonl").read_text().splitlines()]
    return list({event["anomaly_id"]: event for event in events}.values())


def test_it_shows_every_anomaly_and_draws_the_signals(report: Path, browse: Open) -> None:
    expected = anomalies(report)
    page = Page(browse(report, "--dump-dom"))
    assert sorted((row[3], row[1]) for row in page.rows) == sorted((a["asset_id"], a["kind"]) for a in expected)
    assert page.texts["list-title"] == f"Anomalies ({len(expected)} of {len(expected)})"
    assert "meter-3" in page.texts["reason"], "the worst anomaly is looked at first"
    assert page.shapes["chart"] == 8
    assert min(page.shapes[name] for name in ("trace", "band", "limit", "mark")) > 3


@pytest.mark.parametrize(("fragment", "field", "value"), [
    ("kind=SAG", "kind", "SAG"), ("severity=CRITICAL", "severity", "CRITICAL"), ("meter=meter-2", "asset_id", "meter-2"),
])  # fmt: skip
def test_filters_of_the_address_choose_anomalies(report: Path, browse: Open, fragment: str, field: str, value: str) -> None:
    expected = [a for a in anomalies(report) if a[field] == value]
    page = Page(browse(report, "--dump-dom", fragment=fragment))
    assert expected
    assert sorted(row[3] for row in page.rows) == sorted(a["asset_id"] for a in expected)


def acting(report: Path, script: str) -> Path:
    """A copy of the page that a user has done something with."""
    path = report.with_name("acting.html")
    path.write_text(report.read_text().replace("</body>", f"<script>{script}</script></body>"))
    return path


def test_choosing_a_kind_and_an_anomaly_by_hand(report: Path, browse: Open) -> None:
    choose = 'const kind = document.getElementById("kind"); kind.value = "SAG"; kind.dispatchEvent(new Event("change"));'
    page = Page(browse(acting(report, choose), "--dump-dom"))
    assert {row[1] for row in page.rows} == {"SAG"}
    click = choose + 'document.querySelectorAll("#rows button")[1].click();'
    page = Page(browse(acting(report, click), "--dump-dom"))
    assert "meter-4" in page.texts["reason"]
    press = 'document.querySelector("#charts .mark").dispatchEvent(new KeyboardEvent("keydown", {key: "Enter"}));'
    assert "meter-3" in Page(browse(acting(report, choose.replace("SAG", "") + press), "--dump-dom")).texts["reason"]
    back = choose + 'document.querySelector("#filters button").click();'
    assert len(Page(browse(acting(report, back), "--dump-dom")).rows) == len(anomalies(report))


def test_nothing_passes_a_filter_that_fits_nothing(report: Path, browse: Open) -> None:
    page = Page(browse(report, "--dump-dom", fragment="kind=SAG&meter=meter-2"))
    assert page.rows == []
    assert page.texts["none"] == "No anomaly passes the filters."


def pixels(path: Path) -> tuple[int, int, set[bytes]]:
    """Width, height and the colours of a PNG whose lines are filtered as they may be: undone here."""
    data = path.read_bytes()
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    assert (depth, kind) in {(8, 2), (8, 6)}
    size = 3 if kind == 2 else 4
    packed = b"".join(
        data[m.end() : m.end() + struct.unpack(">I", data[m.start() - 4 : m.start()])[0]] for m in re.finditer(b"IDAT", data)
    )
    raw, stride = zlib.decompress(packed), width * size
    colours: set[bytes] = set()
    before = bytearray(stride)
    for row in range(height):
        filtered, line = raw[row * (stride + 1)], bytearray(raw[row * (stride + 1) + 1 : (row + 1) * (stride + 1)])
        for i in range(stride):
            left, up, corner = (line[i - size] if i >= size else 0), before[i], (before[i - size] if i >= size else 0)
            if filtered == 1:
                line[i] = (line[i] + left) & 255
            elif filtered == 2:
                line[i] = (line[i] + up) & 255
            elif filtered == 3:
                line[i] = (line[i] + (left + up) // 2) & 255
            elif filtered == 4:
                guess = left + up - corner
                nearest = min((left, up, corner), key=lambda each: abs(guess - each))
                line[i] = (line[i] + nearest) & 255
        colours.update(bytes(line[i : i + 3]) for i in range(0, stride, size))
        before = line
    return width, height, colours


@pytest.mark.parametrize("width", [1280, 390])
def test_it_looks_like_something(report: Path, browse: Open, tmp_path: Path, width: int) -> None:
    browse(report, f"--screenshot={tmp_path / 'page.png'}", f"--window-size={width},900")
    found = pixels(tmp_path / "page.png")
    assert found[:2] == (width, 900)
    assert len(found[2]) > 100
    assert bytes((0x2C, 0x52, 0x82)) in found[2], "the traces"
    assert bytes((0xA4, 0x13, 0x3C)) in found[2], "a critical anomaly"


def test_it_fits_a_phone(report: Path, browse: Open) -> None:
    # A headless window is at least 500 wide, so the page is told to be narrower; its phone layout begins at 860.
    measure = "setTimeout(() => { document.title = document.body.scrollWidth; }, 1000);"
    narrow = acting(
        report, f'document.documentElement.style.width = "390px"; document.documentElement.style.overflow = "hidden"; {measure}'
    )
    dom = browse(narrow, "--dump-dom")
    assert "<title>390</title>" in dom
