"""Several applications in one process; how they stop is shown by real signals to a process of its own."""

import os
import signal
import subprocess
import sys
import threading
from types import FrameType

import pytest

from gridpulse_runtime.health import Health
from gridpulse_runtime.together import Parts, run_together

PROGRAM = """
import os, threading
from gridpulse_runtime.together import run_together

def say(*words): os.write(1, (" ".join(words) + "\\n").encode())  # a line at once: two threads print

class App:
    def __init__(self, name): self.name, self.end = name, threading.Event()
    def run(self):
        say(self.name, "runs")
        self.end.wait()
        say(self.name, "committed")
    def stop(self): self.end.set()

run_together({name: App(name) for name in ("a", "b")})
say("left")
"""


class App:
    """Works until it is stopped, or raises `failure`."""

    def __init__(self, failure: BaseException | None = None, after: threading.Event | None = None) -> None:
        self.failure, self.after = failure, after
        self.started, self.end = threading.Event(), threading.Event()
        self.committed = False

    def run(self) -> None:
        self.started.set()
        if self.failure is not None:
            assert self.after is not None
            assert self.after.wait(10)
            raise self.failure
        assert self.end.wait(10)
        self.committed = True

    def stop(self) -> None:
        self.end.set()


class Forgetful(App):
    """Forgets that it was stopped before its run began, as Quix does."""

    def run(self) -> None:
        assert self.end.wait(10)
        self.end.clear()
        super().run()


@pytest.fixture(autouse=True)
def handlers() -> object:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield None
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all_of_them_cleanly(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        try:
            assert sorted(process.stdout.readline() for _ in "ab") == ["a runs\n", "b runs\n"]
            process.send_signal(number)
            rest = process.stdout.readlines()
        finally:
            process.send_signal(signal.SIGKILL)
        assert process.wait() == 0
    assert sorted(rest[:-1]) == ["a committed\n", "b committed\n"]
    assert rest[-1] == "left\n"


@pytest.mark.parametrize("call", range(1, 40))
def test_a_signal_may_come_inside_any_call_of_threading(call: int) -> None:
    """Where a lock is held then, a handler that wants it too would wait for ever."""
    calls = 0

    def profile(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        if event == "call" and frame.f_code.co_filename == threading.__file__ and signal.getsignal(signal.SIGTERM) != before:
            calls += 1
            if calls == call:
                signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    app = App()
    ending = threading.Timer(0.05, app.stop)  # where it makes fewer calls than that
    ending.start()
    sys.setprofile(profile)
    try:
        run_together({"a": app})
    finally:
        sys.setprofile(None)
        ending.cancel()
    assert app.committed


def test_a_failure_stops_the_others_with_their_work_committed_and_is_raised() -> None:
    good, slow_to_start = App(), Forgetful()
    bad = App(failure=ValueError("broken"), after=good.started)
    with pytest.raises(ValueError, match="broken"):
        run_together({"good": good, "slow": slow_to_start, "bad": bad})
    assert good.committed
    assert slow_to_start.committed


def test_the_process_beats_when_every_part_has() -> None:
    now = [0.0]
    health = Health(patience=10, clock=lambda: now[0])
    parts = Parts(health)
    a, b = parts.part("a"), parts.part("b")
    for _ in range(3):
        a.beat()
    b.beat()
    now[0] = 9
    a.beat()
    assert health.not_live() is None
    now[0] = 11
    a.beat()
    assert "11 s" in (health.not_live() or "")
    b.beat()
    assert health.not_live() is None


def test_the_process_is_ready_when_every_part_is() -> None:
    health = Health()
    parts = Parts(health)
    parts.part("a").add("state", lambda: "recovering")
    parts.part("b").add("state", lambda: None)
    assert health.not_ready() == {"a: state": "recovering"}
