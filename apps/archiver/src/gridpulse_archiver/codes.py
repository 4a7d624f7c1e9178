"""Texts as dictionary codes, so that a million rows of a few thousand meters hold each id once."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gridpulse_schemas import Roster

__all__ = ["NO_CODE", "Codes", "coded"]

NO_CODE = -1
"""Code of a row without text."""


class Codes:
    """Numbers texts in the order they appear."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._rosters: dict[Roster, npt.NDArray[np.int32]] = {}

    def of(self, text: str) -> int:
        """Code of `text`."""
        return self._codes.setdefault(text, len(self._codes))

    def of_roster(self, roster: Roster) -> npt.NDArray[np.int32]:
        """Code of each id, int32 (roster.count,); worked out once for equal rosters."""
        codes = self._rosters.get(roster)
        if codes is None:
            codes = self._rosters[roster] = np.array([self.of(text) for text in roster.ids], np.int32)
        return codes

    def array(self, codes: npt.NDArray[np.int32]) -> pa.DictionaryArray:
        """Arrow array of the texts that `codes` stand for, null for NO_CODE."""
        indices = pa.array(codes, pa.int32(), mask=codes == NO_CODE)
        return pa.DictionaryArray.from_arrays(indices, pa.array(list(self._codes), pa.string()))


def coded(texts: Sequence[str], counts: npt.NDArray[np.int64]) -> pa.DictionaryArray:
    """Arrow array in which each of `texts` stands as often as `counts` says."""
    codes = Codes()
    return codes.array(np.repeat(np.array([codes.of(text) for text in texts], np.int32), counts))
