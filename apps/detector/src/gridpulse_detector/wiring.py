"""What hangs where on one feeder: every asset has a place, and what compiled code needs of it lies in arrays by place."""

import zlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from gridpulse_detector.assets import AssetBook
from gridpulse_detector.layout import MINUTES_CLOSE_S
from gridpulse_detector.parameters import ParameterSets
from gridpulse_detector.power_quality import calm_volts
from gridpulse_schemas import Roster

__all__ = ["ASSET", "FEEDER_KIND", "METER", "TRANSFORMER", "Wiring"]

METER, TRANSFORMER, FEEDER_KIND = 0, 1, 2
TYPES = ("METER", "TRANSFORMER", "FEEDER")
ROSTERS_KEPT = 1000
HOURS_CLOSE_MS = 60_000
"""After each hour, and the grace, until it is closed for all feeders. All at once, 1,000 of them stopped a replica for 0.8 s."""

ASSET = np.dtype(
    [
        ("voltage", "<f8"),  # nominal, V
        ("calm_low", "<f8"),  # between these, V, all is well
        ("calm_high", "<f8"),
        ("power", "<f8"),  # rated, VA; 0 unknown
        ("set", "<i4"),  # parameters in force
        ("parent", "<i4"),  # place of the transformer, -1 unknown
        ("kind", "<i4"),
        ("generates", "<i4"),  # itself or something behind it
        ("here", "<i4"),  # hangs on this feeder, as far as is known
    ]
)
"""What compiled code knows of an asset."""


class Wiring:
    """Derived from a feeder's roster and the asset book; kept while the state carries the same roster.

    `ids` by place: first the feeder itself (as ""), then meters as they were first heard of, and the transformers above them.
    """

    def __init__(self, feeder_id: str, raw: bytes | None) -> None:
        self.feeder_id, self.crc = feeder_id, zlib.crc32(raw or b"")
        number = zlib.crc32(feeder_id.encode())
        self.after_minute_ms, self.after_hour_ms = number % MINUTES_CLOSE_S * 1000, number % HOURS_CLOSE_MS
        """When this feeder closes a minute and an hour, ms after the grace."""
        self.ids: list[str] = raw.decode().split("\n") if raw is not None else []
        self.places = {asset: place for place, asset in enumerate(self.ids)}
        self.assets = np.zeros(0, ASSET)
        self.deadbands = np.empty((0, 0))
        self._rows: dict[Roster, npt.NDArray[np.int32]] = {}
        self._version: int | None = None

    def rows(self, roster: Roster) -> npt.NDArray[np.int32] | None:
        """Place of every row's meter, int32 (rows,); None where one has none yet."""
        rows = self._rows.get(roster)
        if rows is None and all(meter in self.places for meter in roster.ids):
            rows = np.array([self.places[meter] for meter in roster.ids], np.int32)
            if len(self._rows) > ROSTERS_KEPT:
                self._rows.clear()
            self._rows[roster] = rows
        return rows

    def add(self, meters: Iterable[str], book: AssetBook) -> bytes | None:
        """Give places to the feeder, to `meters` and to what feeds them; the roster for the store where it changed."""
        before = len(self.ids)
        known = dict.fromkeys(("", *self.ids, *meters))
        parents = dict.fromkeys(book.rating(asset).parent for asset in known if asset)
        parents.pop(self.feeder_id, None)  # a meter straight on the feeder has no transformer
        for asset in (*known, *parents):
            if asset is not None and asset not in self.places:
                self.places[asset] = len(self.ids)
                self.ids.append(asset)
        if len(self.ids) == before:
            return None
        raw = "\n".join(self.ids).encode()
        self.crc = zlib.crc32(raw)
        return raw

    def is_current(self, book: AssetBook) -> bool:
        """Whether the arrays say what `book` says."""
        return self._version == book.version and self.assets.size == len(self.ids)

    def derive(self, book: AssetBook, sets: ParameterSets, signals: tuple[str, ...]) -> None:
        """Fill the arrays from `book`."""
        self._version = book.version
        ratings = [book.rating(asset or self.feeder_id) for asset in self.ids]
        parents = {rating.parent for rating in ratings[1:]}
        fed = {rating.parent for rating in ratings[1:] if rating.generates}
        self.assets = np.zeros(len(self.ids), ASSET)
        self.deadbands = np.zeros((len(signals), len(self.ids)))
        for place, (asset, rating) in enumerate(zip(self.ids, ratings, strict=True)):
            kind = FEEDER_KIND if place == 0 else METER
            if place > 0 and (rating.asset_type == "TRANSFORMER" or asset in parents):
                kind = TRANSFORMER  # meters hang on it, whatever the book says of it
            number = sets.number(rating.asset_class, self.feeder_id, asset or self.feeder_id)
            here = rating.feeder is None or rating.feeder == self.feeder_id
            parent = self.places.get(rating.parent, -1) if rating.parent else -1
            power = rating.apparent if kind == METER else rating.power
            self.assets[place] = (rating.voltage, 0.0, 0.0, power, number, parent, kind, rating.generates or asset in fed, here)
            shares = sets.sets[number].deadbands
            self.deadbands[:, place] = [shares[signal] / 100 * rating.of(signal) for signal in signals]
        limits = sets.limits[self.assets["set"]]
        self.assets["calm_low"], self.assets["calm_high"] = calm_volts(self.assets["voltage"], limits)

    def name(self, place: int) -> str:
        """Asset id of a place."""
        return self.ids[place] or self.feeder_id

    def type_of(self, place: int) -> str:
        """Asset type of a place."""
        return TYPES[int(self.assets[place]["kind"])]

    def below(self, place: int) -> npt.NDArray[np.int64]:
        """Places of the meters behind a place: all of the feeder, the customers of a transformer, or the meter itself."""
        kind = self.assets[place]["kind"]
        if kind == METER:
            return np.array([place])
        mine = (self.assets["kind"] == METER) & (self.assets["here"] == 1)
        return np.flatnonzero(mine & (self.assets["parent"] == place) if kind == TRANSFORMER else mine)
