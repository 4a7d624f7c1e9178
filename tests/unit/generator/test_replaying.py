import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from gridpulse_generator.pacing import Pacer, Stop
from gridpulse_generator.progress import Progress
from gridpulse_generator.replaying import Replay
from gridpulse_runtime.recording import read_recording
from gridpulse_schemas import ReadingBatch


def csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "meters.csv"
    path.write_text(text)
    return path


def many(tmp_path: Path) -> Path:
    """Three meters on two feeders, a reading a second each, out of order."""
    lines = [
        f"{1_760_097_600 + second},m{meter},f{meter % 2},{200 + meter}.{second % 10}"
        for second in range(50)
        for meter in range(3)
    ]
    lines = [lines[i] for i in np.random.default_rng(0).permutation(len(lines))]
    return csv(tmp_path, "timestamp,meter_id,feeder_id,voltage\n" + "\n".join(lines) + "\n")


def check_complete(batches: list[ReadingBatch]) -> None:
    rows = {
        (batch.feeder_id, meter, int(time), round(float(volts), 1))
        for batch in batches
        for meter, time, volts in zip(batch.roster.ids, batch.timestamps(), batch.columns["voltage"], strict=True)
    }
    assert rows == {
        (f"f{meter % 2}", f"m{meter}", 1_760_097_600_000 + second * 1000, round(200 + meter + second % 10 / 10, 1))
        for second in range(50)
        for meter in range(3)
    }


class FakeSender:
    def __init__(self, clock: list[float]) -> None:
        self.clock, self.readings, self.messages = clock, 0, 0
        self.sent: list[tuple[float, ReadingBatch]] = []

    def send(self, batch: ReadingBatch) -> None:
        self.sent.append((self.clock[0], batch))
        self.readings += batch.rows

    def finish(self) -> None:
        pass


@pytest.mark.parametrize(("speed", "seconds"), [(1.0, 49.0), (10.0, 4.9), (math.inf, 0.0)])
def test_a_replay_keeps_the_recorded_pace(tmp_path: Path, speed: float, seconds: float) -> None:
    clock = [0.0]

    def pause(wait: float) -> None:
        clock[0] += wait

    sender: Any = FakeSender(clock)
    pacer = Pacer(pause, lambda: clock[0])
    replay = Replay(read_recording(many(tmp_path)), sender, pacer=pacer, stop=Stop(), speed=speed)
    replay.go(Progress(None, Console(file=io.StringIO())))
    check_complete([batch for _, batch in sender.sent])
    assert clock[0] == pytest.approx(seconds)
    if seconds:
        for at, batch in sender.sent:
            newest = (int(batch.timestamps()[-1]) - 1_760_097_600_000) / 1000 / speed
            assert at == pytest.approx(newest), "not before it was measured"
    assert replay.summary().first == "2025-10-10T12:00:00Z"


def test_a_replay_can_be_moved_to_another_time(tmp_path: Path) -> None:
    sender: Any = FakeSender([0.0])
    Replay(read_recording(many(tmp_path)), sender, pacer=Pacer(), stop=Stop(), speed=math.inf, start=5000).go(
        Progress(None, Console(file=io.StringIO()))
    )
    assert min(int(batch.timestamps()[0]) for _, batch in sender.sent) == 5000
