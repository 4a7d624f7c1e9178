"""A batch as matrices: the same numbers as its columns, whoever made it."""

import numpy as np

from gridpulse_schemas import COLUMNS, ReadingBatch, Roster
from gridpulse_schemas.columnar import decode_batch, encode_batch

NAMES = [column.name for column in COLUMNS]


def made() -> ReadingBatch:
    columns = {
        "voltage": np.array([230.5, np.nan, 231], "<f4"),
        "thd": np.array([1, 2, 3], "<f4"),
        "energy_export": np.array([1e9, 2e9, np.nan]),
    }
    return ReadingBatch("f", Roster.of(["a", "b", "c"]), 5, np.zeros(3, np.int32), columns)


def check(batch: ReadingBatch) -> None:
    floats, doubles = batch.matrix()
    assert (floats.dtype, floats.shape, doubles.dtype, doubles.shape) == (
        np.float32,
        (11, batch.rows),
        np.float64,
        (2, batch.rows),
    )
    for name, row in zip(NAMES, [*floats, *doubles], strict=True):
        assert np.array_equal(row, batch.columns.get(name, np.full(batch.rows, np.nan)), equal_nan=True)


def test_of_columns() -> None:
    check(made())


def test_of_bytes_without_a_copy() -> None:
    batch = decode_batch(encode_batch(made()), 0)
    assert batch is not None
    check(batch)
    assert np.shares_memory(batch.matrix()[0], batch.columns["thd"])
    batch.columns["thd"][1] = 9
    check(batch)


def test_of_some_rows_of_a_decoded_batch() -> None:
    batch = decode_batch(encode_batch(made()), 0)
    assert batch is not None
    some = batch.take(np.array([True, False, True]))
    assert some.columns["voltage"].tolist() == [230.5, 231]
    check(some)
