"""One letter for people and programs: its headers, and its value read by the schema it was written with."""

import json
import math
from typing import Any

from gridpulse_redrive.letters import Letter
from gridpulse_schemas import Codec, DecodeError, RegistryUnavailableError, SchemaStore
from gridpulse_schemas.definitions import NAMES

__all__ = ["Reading", "record_of", "shown", "value_of"]

HEX_BYTES = 256
"""Bytes of an unreadable value that are shown to people; programs get all."""
Reading = tuple[str, Any]


def value_of(value: bytes | None, store: SchemaStore) -> Reading:
    """What `value` is, and its content: a record of one of our schemas, JSON, or `hex` with the reason why it is no more."""
    if value is None:
        return "nothing", None
    try:
        return "JSON", json.loads(value)
    except ValueError:
        pass
    try:
        return _decoded(value, Codec(store, ()))
    except RegistryUnavailableError as error:
        return f"bytes (the schema registry does not answer: {error})", value.hex()
    except DecodeError as error:
        return f"bytes ({error.reason}: {error.detail})", value.hex()


def _decoded(value: bytes, codec: Codec) -> Reading:
    """Raises DecodeError, RegistryUnavailableError."""
    refusal: DecodeError | None = None
    for name in NAMES:
        try:
            return name, _plain(codec.decode(name, value))
        except DecodeError as error:
            refusal = refusal if error.reason == "schema_mismatch" and refusal else error
    raise refusal or DecodeError("schema_mismatch", "no schema reads it")


def _plain(value: Any) -> Any:
    """JSON has neither bytes nor NaN."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        return value.hex()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def record_of(letter: Letter, *, sent: bool) -> dict[str, Any]:
    """What `list --json` and `show --json` say of every letter."""
    return {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "timestamp": letter.timestamp,
        "reason": letter.reason,
        "app": letter.app,
        "sent_again": sent,
        "bytes": len(letter.value or b""),
        "key": None if letter.key is None else letter.key.decode("utf-8", "backslashreplace"),
        "headers": dict(letter.headers),
    }


def shown(letter: Letter, reading: Reading, *, sent: bool) -> str:
    """For people."""
    kind, content = reading
    width = max(map(len, letter.headers), default=0)
    key = "none" if letter.key is None else letter.key.decode("utf-8", "backslashreplace")
    out = [f"{letter.topic}, partition {letter.partition}, offset {letter.offset}{', sent again' if sent else ''}", f"key  {key}"]
    out += [f"  {name:<{width}}  {value}" for name, value in letter.headers.items()]
    out.append(f"value  {len(letter.value or b''):,} bytes, {kind}")
    if isinstance(content, str) and kind.startswith("bytes"):
        more = " …" if len(content) > 2 * HEX_BYTES else ""
        out.append(f"  {content[: 2 * HEX_BYTES]}{more}")
    elif content is not None:
        out.append(json.dumps(content, ensure_ascii=False, indent=2))
    return "\n".join(out) + "\n"
