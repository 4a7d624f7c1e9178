"""What is written is what InfluxDB reads, held to a reader that follows its scanner's rules (models/points.go)."""

import math
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gridpulse_influx_sink.line_protocol import FULLWIDTH_BACKSLASH, line


def split(text: str, separator: str) -> list[str]:
    """Cut at each `separator` that no backslash precedes, as the scanner does: it looks back one byte."""
    return re.split(rf"(?<!\\){re.escape(separator)}", text)


def unescape_tag(text: str) -> str:
    return re.sub(r"\\([, =])", r"\1", text)


def read(text: str) -> tuple[dict[str, str], dict[str, Any], int]:
    """Tags, fields and time of a line."""
    series, rest = split(text, " ")[0], text[len(split(text, " ")[0]) + 1 :]
    tags = {}
    for pair in split(series, ",")[1:]:
        name, value = split(pair, "=")
        tags[name] = unescape_tag(value)
    fields: dict[str, Any] = {}
    field = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(-?\d+)i|([-+.eE\d]+))(,| (?=-?\d+$))', re.DOTALL)
    position = 0
    while match := field.match(rest, position):
        name, string, integer, number, _ = match.groups()
        if string is not None:
            fields[name] = re.sub(r'\\(["\\])', r"\1", string)
        else:
            fields[name] = int(integer) if integer is not None else float(number)
        position = match.end()
    return tags, fields, int(rest[position:])


def as_tag(value: str) -> str:
    """What a tag keeps of a text: control characters are shown, and a last backslash is replaced."""
    if value.endswith("\\"):
        value = value[:-1] + FULLWIDTH_BACKSLASH
    return value.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t").replace("\0", "\\0")


texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('\\, ="\n\r\t'), max_size=12)
values = st.none() | texts | st.floats() | st.integers(-(2**63), 2**63 - 1)


@given(st.dictionaries(st.sampled_from("abc"), texts), st.dictionaries(st.sampled_from("xyz"), values), st.integers(0, 2**42))
def test_every_value_survives(tags: dict[str, str], fields: dict[str, Any], time_ms: int) -> None:
    kept = {
        name: value
        for name, value in fields.items()
        if value is not None and not (isinstance(value, float) and not math.isfinite(value))
    }
    written = line("m", tags, fields, time_ms)
    if not kept:
        assert written == ""
        return
    if any("\0" in value for value in kept.values() if isinstance(value, str)):
        kept = {name: value.replace("\0", "\\0") if isinstance(value, str) else value for name, value in kept.items()}
        assert "\0" not in written
        return
    assert read(written) == ({name: as_tag(value) for name, value in tags.items() if value}, kept, time_ms)


@given(texts, texts)
def test_a_tag_never_ends_the_line_or_swallows_its_neighbour(first: str, second: str) -> None:
    written = line("m", {"a": "x" + first, "b": "y" + second}, {"n": 1}, 5)
    assert "\n" not in written
    assert set(read(written)[0]) == {"a", "b"}


def test_numbers_keep_their_type() -> None:
    assert line("m", {}, {"a": 1, "b": 1.0, "c": 1e300, "d": -0.5}, 9) == "m a=1i,b=1.0,c=1e+300,d=-0.5 9"
