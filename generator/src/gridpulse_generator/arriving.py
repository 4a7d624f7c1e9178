"""What becomes of a batch on its way: rows lost, repeated, under another's name or with another's time."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gridpulse_generator.faults import Values
from gridpulse_schemas import ReadingBatch, Roster

__all__ = ["arrived", "is_disturbed"]


def is_disturbed(values: Values) -> bool:
    """Whether anything happens to any batch of the tick."""
    return values.missing is not None or values.clock_ms is not None or bool(values.again) or bool(values.swapped)


def arrived(batch: ReadingBatch, rows: npt.NDArray[np.int64], values: Values) -> ReadingBatch:
    """Make of `batch`, whose rows are those of the grid's devices `rows`, what arrives; it may have no rows."""
    order = np.arange(rows.size)
    names = order.copy()
    for one, other in values.swapped:
        places = np.flatnonzero((rows == one) | (rows == other))
        names[places] = names[places[::-1]]
    offset_ms = batch.offset_ms
    if values.clock_ms is not None:
        offset_ms = offset_ms + values.clock_ms[rows]
    if values.missing is not None:
        order = order[~values.missing[rows]]
    if values.again:
        order = np.concatenate([order, order[np.isin(rows[order], values.again)]])
    if order.size == rows.size and (order == names).all() and offset_ms is batch.offset_ms:
        return batch
    ids = batch.roster.ids
    return replace(
        batch,
        roster=Roster.of(ids[name] for name in names[order].tolist()),
        offset_ms=offset_ms[order].astype(np.int32),
        columns={name: column[order] for name, column in batch.columns.items()},
        status=batch.status[order] if batch.status.size else batch.status,
    )
