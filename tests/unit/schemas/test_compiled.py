import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from numba.core.errors import NumbaError

from gridpulse_schemas import compiled


def test_shipped_machine_code_is_lent_and_stays_as_it_is(tmp_path: Path) -> None:
    index = tmp_path / "kernel_1234" / "judge.nbi"
    index.parent.mkdir()
    index.write_bytes(b"as built")
    lent = Path(compiled._borrowed(tmp_path))
    own = lent / "kernel_1234" / "judge.nbi"
    assert own.read_bytes() == b"as built"
    draft = own.with_suffix(".tmp")
    draft.write_bytes(b"compiled anew")  # as numba does where the processor is another
    draft.replace(own)
    assert own.read_bytes() == b"compiled anew"
    assert index.read_bytes() == b"as built"


def test_a_read_only_package_is_not_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Path(compiled._kept.__wrapped__("gridpulse_schemas"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    lent = Path(compiled._kept.__wrapped__("gridpulse_schemas"))
    assert lent.is_relative_to(tempfile.gettempdir())
    names = {path.relative_to(kept) for path in kept.rglob("*.nb?")}
    assert {path.relative_to(lent) for path in lent.rglob("*.nb?")} == names


def test_a_read_only_package_without_machine_code_is_left_to_numba(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare/__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert compiled._kept.__wrapped__("bare") == ""


def test_the_first_compiled_call_imports_no_scipy_and_leaves_it_importable() -> None:
    asked = (
        "import sys; from gridpulse_schemas.columnar import put_text; from gridpulse_schemas.reading import decode_reading\n"
        "from gridpulse_schemas import DecodeError\n"
        "try: decode_reading(b'')\n"
        "except DecodeError: pass\n"
        "print('scipy.linalg' in sys.modules); import scipy.linalg; print(scipy.linalg.norm([3.0, 4.0]))"
    )
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    assert told == ["False", "5.0"]


def test_references_to_arrays_are_not_counted_so_that_none_can_be_made() -> None:
    @compiled.compiled
    def doubled(values: npt.NDArray[np.float64], out: npt.NDArray[np.float64]) -> None:
        for i in range(values.size):
            out[i] = 2.0 * values[i]

    @compiled.compiled
    def made(size: int) -> float:
        return float(np.zeros(size).sum())

    out = np.empty(3)
    doubled(np.arange(3.0), out)
    assert out.tolist() == [0.0, 2.0, 4.0]
    with pytest.raises(NumbaError, match="array passed into the function"):
        made(3)


def test_an_entry_is_there_where_there_is_one_set_of_types_only() -> None:
    @compiled.inlined
    def twice(value: float) -> float:
        return 2.0 * value

    @compiled.compiled
    def doubled(value: float) -> float:
        return twice(value)

    assert compiled.entry(doubled) is doubled
    assert doubled(3.0) == compiled.entry(doubled)(3.0) == 6.0
    assert compiled.entry(doubled) is not doubled
    doubled(3)
    assert compiled.entry(doubled) is doubled
