from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

from gridpulse_detector.commands.outputs import write_whole


def test_a_file_is_replaced_whole_and_a_link_stays_one(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("before")
    link.symlink_to(target)
    write_whole(link, "after")
    assert link.is_symlink()
    assert target.read_text() == "after"
    write_whole(tmp_path / "new", "first")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "new", "target"]


def test_a_pipe_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    """As a device is: replacing /dev/null would harm the whole machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text()), daemon=True)
    reader.start()
    write_whole(pipe, "told")
    reader.join(10)
    assert heard == ["told"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
