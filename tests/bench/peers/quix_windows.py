"""Quix Streams' own windows, one reading a message: count, mean, σ of voltage and current, 5 minutes by 10 s, for each meter.

Only the windows: nothing is judged against them, which would take a second app. Arguments: bootstrap, registry, topic in, topic
out, group, folder of the state. The topic is keyed by meter.
"""

from __future__ import annotations

import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from quixstreams import Application
from quixstreams.dataframe.windows import Count, Mean

from gridpulse_schemas import Codec, Registry


def main(bootstrap: str, registry: str, topic_in: str, topic_out: str, group: str, state: str) -> None:
    """Run for ever."""
    codec = Codec(Registry(registry), ())
    app = Application(
        bootstrap,
        consumer_group=group,
        auto_offset_reset="earliest",
        state_dir=Path(state),
        commit_interval=30.0,
        loglevel="WARNING",
    )
    count = 0

    def tell() -> None:
        while True:
            print(f"readings {count}", flush=True)
            time.sleep(0.05)

    def read(value: bytes) -> dict[str, Any]:
        nonlocal count
        count += 1
        one = codec.decode("MeterReading", value)
        voltage, current = one["voltage"], one["current"]
        return {"voltage": voltage, "current": current, "voltage2": voltage * voltage, "current2": current * current}

    threading.Thread(target=tell, daemon=True).start()
    frame = app.dataframe(app.topic(topic_in, value_deserializer="bytes", key_deserializer="bytes"))
    sums = {name: Mean(name) for name in ("voltage", "current", "voltage2", "current2")}
    window = frame.apply(read).hopping_window(timedelta(minutes=5), timedelta(seconds=10)).agg(count=Count(), **sums)
    window.final(closing_strategy="key").to_topic(app.topic(topic_out, key_serializer="bytes"))
    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
