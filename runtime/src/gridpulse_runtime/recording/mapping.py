"""Which column of a recording is which field of a reading."""

from collections.abc import Iterable, Mapping, Sequence

from gridpulse_runtime.errors import UsageError
from gridpulse_schemas import COLUMN_NAMES

__all__ = ["FIELDS", "has_measurement", "map_columns", "no_measurement", "read_scales"]

FIELDS = ("meter_id", "feeder_id", "timestamp", *COLUMN_NAMES, "status")
ALSO_CALLED = {
    "meter_id": ("meter", "meterid", "device_id", "device", "lclid"),
    "feeder_id": ("feeder", "feederid"),
    "timestamp": ("time", "datetime", "date_time", "ts", "start", "date"),
    "voltage": ("voltage_a", "volts"),
    "current": ("amps",),
    "active_power": ("power", "watts"),
    "energy_import": ("import_wh",),
}


def map_columns(columns: Sequence[str], assignments: Iterable[str], *, measured: bool = True) -> dict[str, str]:
    """Column of every field that has one: `assignments` (COLUMN=FIELD) first, then columns that are named as a field.

    Raises UsageError: an assignment that is none, a column or field that does not exist, two columns for a field, no
    timestamp, and where `measured` no measurement.
    """
    mapped: dict[str, str] = {}
    for assignment in assignments:
        column, equals, field = assignment.rpartition("=")
        if not equals or not column:
            raise UsageError(f"--map {assignment}: expected COLUMN=FIELD")
        if column not in columns:
            raise UsageError(f"--map {assignment}: no column {column!r}; the file has {', '.join(columns)}")
        if field not in FIELDS:
            raise UsageError(f"--map {assignment}: no field {field!r}; the fields are {', '.join(FIELDS)}")
        if field in mapped:
            raise UsageError(f"--map {assignment}: {field} is already {mapped[field]!r}")
        mapped[field] = column
    _guess(mapped, columns)
    if "timestamp" not in mapped:
        raise UsageError(f"no column is the timestamp: add --map COLUMN=timestamp; {_available(columns)}")
    if measured and not has_measurement(mapped):
        raise UsageError(no_measurement(columns))
    return mapped


def _guess(mapped: dict[str, str], columns: Sequence[str]) -> None:
    """Add fields that a column not yet used is called after; an exact name goes before another word for it."""
    plain = {column.strip().lower().replace(" ", "_"): column for column in columns if column not in mapped.values()}
    for field in FIELDS:
        for name in (field, *ALSO_CALLED.get(field, ())):
            if field not in mapped and name in plain:
                mapped[field] = plain.pop(name)


def has_measurement(mapped: Mapping[str, str]) -> bool:
    """Whether a column is a measurement."""
    return any(name in mapped for name in COLUMN_NAMES)


def no_measurement(columns: Sequence[str]) -> str:
    """What to do about a file none of whose `columns` is a measurement."""
    return f"no column is a measurement: add --map COLUMN=FIELD with one of {', '.join(COLUMN_NAMES)}; {_available(columns)}"


def _available(columns: Sequence[str]) -> str:
    return f"the file has {', '.join(columns)}"


def read_scales(assignments: Iterable[str], mapped: Mapping[str, str]) -> dict[str, float]:
    """Factor by field, from FIELD=FACTOR. Raises UsageError where the field is not mapped or the factor no number."""
    scales: dict[str, float] = {}
    for assignment in assignments:
        field, _, factor = assignment.partition("=")
        if field not in COLUMN_NAMES or field not in mapped:
            known = ", ".join(name for name in mapped if name in COLUMN_NAMES)
            raise UsageError(f"--scale {assignment}: {field!r} is no measurement of this replay ({known})")
        try:
            scales[field] = float(factor)
        except ValueError:
            raise UsageError(f"--scale {assignment}: expected FIELD=FACTOR, as active_power=1000") from None
    return scales
