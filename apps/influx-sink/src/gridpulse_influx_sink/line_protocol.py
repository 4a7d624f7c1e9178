"""InfluxDB line protocol: escaping and numbers, https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/.

Built here and not with the client's `Point`: that one is seven times slower, and writes a tag that ends in a backslash so that
it swallows the next one.
"""

import math
from collections.abc import Mapping

__all__ = ["FieldValue", "line", "tag"]

FieldValue = str | float | int | None

TAG = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ ", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"})
TEXT = str.maketrans({'"': '\\"', "\\": "\\\\", "\0": "\\0"})
FULLWIDTH_BACKSLASH = "\uff3c"


def line(measurement: str, tags: Mapping[str, str], fields: Mapping[str, FieldValue], time_ms: int) -> str:
    """One point, without line end, for a write with precision ms; empty where no field has a value.

    `measurement` and the names are plain words. Tags without text are left out, as are fields that are None, NaN or infinite
    (InfluxDB has no such values).
    """
    written = ",".join([f"{name}={text}" for name, value in fields.items() if (text := _field(value))])
    if not written:
        return ""
    series = "".join([f",{name}={tag(value)}" for name, value in tags.items() if value])
    return f"{measurement}{series} {written} {time_ms}"


def tag(value: str) -> str:
    """Escape `value`. A last backslash would escape what follows, and cannot be escaped: it becomes a fullwidth one."""
    if value.endswith("\\"):
        value = value[:-1] + FULLWIDTH_BACKSLASH
    return value.translate(TAG)


def _field(value: FieldValue) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f'"{value.translate(TEXT)}"'
    if isinstance(value, int):
        return f"{value}i"
    return repr(value) if math.isfinite(value) else ""
