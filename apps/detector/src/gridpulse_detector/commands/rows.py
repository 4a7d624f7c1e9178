"""Which row of a recording a meter or feeder had at a time."""

import numpy as np
import numpy.typing as npt

from gridpulse_runtime.recording import Recording

__all__ = ["RowIndex"]

UNKNOWN = -1


class RowIndex:
    """Finds rows by meter and by feeder; both sorted once."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._meters = Sorted(recording.meter, recording)
        self._feeders = Sorted(recording.feeder, recording)
        self._meter_codes = {text: code for code, text in enumerate(recording.meter_ids)}
        self._feeder_codes = {text: code for code, text in enumerate(recording.feeder_ids)}

    def find(self, asset: str, feeder: str, time: int) -> int:
        """The file's row of meter `asset` at `time` (epoch ms), or the last before it; of any meter of the feeder for others."""
        if asset in self._meter_codes:
            return self._meters.find(self._meter_codes[asset], time)
        if feeder in self._feeder_codes:
            return self._feeders.find(self._feeder_codes[feeder], time)
        return UNKNOWN


class Sorted:
    """Rows by code and time."""

    def __init__(self, codes: npt.NDArray[np.int64], recording: Recording) -> None:
        order = np.lexsort((recording.rows, recording.times, codes))
        self._rows, self._times = recording.rows[order], recording.times[order]
        self._bounds = np.searchsorted(codes[order], np.arange(int(codes.max(initial=0)) + 2))

    def find(self, code: int, time: int) -> int:
        """The first row at `time`, else the last before it; UNKNOWN where there is neither."""
        if code + 1 >= self._bounds.size:
            return UNKNOWN
        begin, end = self._bounds[code], self._bounds[code + 1]
        times = self._times[begin:end]
        place = int(np.searchsorted(times, time))
        if place < times.size and times[place] == time:
            return int(self._rows[begin + place])
        return int(self._rows[begin + place - 1]) if place else UNKNOWN
