"""What is kept of a feeder, in memory until it is saved: its state unpacked, and what goes under keys beside it."""

from gridpulse_detector.layout import Layout
from gridpulse_detector.state import FeederState
from gridpulse_detector.windows import Panes, Store

__all__ = ["ROSTER_KEY", "STATE_KEY", "Feeder"]

STATE_KEY, ROSTER_KEY = b"f", b"r"


class Feeder:
    """State and keys of one feeder. Between two saves nothing is written, so that what is stored fits together.

    A crash may keep the first of the keys that a save wrote and not the others. Therefore new panes go first, which no state
    refers to yet; then the state, with a copy of all other keys that change with it; then those. Whoever finds the state finds
    the copy, which counts.
    """

    __slots__ = ("_beside", "feeder_id", "panes", "state", "store")

    def __init__(self, feeder_id: str, store: Store, layout: Layout) -> None:
        """Read it from `store`."""
        self.feeder_id, self.store = feeder_id, store
        self.state = FeederState.unpack(store.get_bytes(STATE_KEY), layout)
        copied, self.state.beside = self.state.beside, {}
        self._beside = {key: value for key, value in copied.items() if store.get_bytes(key) != value}
        """What goes out with the state, None for a key that is removed."""
        self.panes = Panes(self)
        for index in self.state.orphans:
            self.delete(b"p%d" % index)

    def get_bytes(self, key: bytes) -> bytes | None:
        """Value of `key`, None where there is none."""
        return self._beside[key] if key in self._beside else self.store.get_bytes(key)

    def set_bytes(self, key: bytes, value: bytes) -> None:
        """Have `key` set with the state."""
        self._beside[key] = value

    def delete(self, key: bytes) -> None:
        """Have `key` removed with the state."""
        self._beside[key] = None

    def save(self) -> None:
        """Write everything that has changed."""
        for key in self.panes.save(self.store):
            self._beside.pop(key, None)  # a pane of other rules was to be removed from there
        self.store.set_bytes(STATE_KEY, self.state.pack(self._beside))
        for key, value in self._beside.items():
            if value is None:
                self.store.delete(key)
            else:
                self.store.set_bytes(key, value)
        self._beside.clear()
