"""Avro's variable-length integers and the registry's five-byte frame."""

import struct

import numpy as np
import numpy.typing as npt

from gridpulse_schemas.compiled import compiled, inlined
from gridpulse_schemas.errors import DecodeError

__all__ = [
    "INT_MAX",
    "INT_MIN",
    "frame",
    "int32",
    "pass_string",
    "put_ints",
    "put_long",
    "read_int32s",
    "read_ints",
    "read_long",
    "take_long",
    "take_text",
    "unframe",
]

FRAME = struct.Struct(">bI")
INT_MIN, INT_MAX = -(2**31), 2**31 - 1


def frame(schema_id: int) -> bytes:
    """Five bytes that go before the Avro binary: zero, then the schema id, big-endian."""
    return FRAME.pack(0, schema_id)


def unframe(message: bytes | None) -> int:
    """Schema id of a framed message, whose Avro binary begins at byte 5. Raises DecodeError(bad_frame)."""
    if message is None:
        raise DecodeError("bad_frame", "the message has no value")
    if len(message) < FRAME.size:
        raise DecodeError("bad_frame", f"{len(message)} bytes is shorter than the {FRAME.size}-byte frame")
    magic, schema_id = FRAME.unpack_from(message)
    if magic != 0:
        raise DecodeError("bad_frame", f"the first byte is {message[0]}, not 0")
    return int(schema_id)


def put_long(value: int) -> bytes:
    """Avro long: zigzag, seven bits a byte, least first."""
    zigzag = (value << 1) ^ (value >> 63)
    out = bytearray()
    while zigzag > 0x7F:
        out.append((zigzag & 0x7F) | 0x80)
        zigzag >>= 7
    out.append(zigzag)
    return bytes(out)


def take_long(data: bytes, position: int) -> tuple[int, int]:
    """Value and the position after it. Raises DecodeError(malformed) where the bytes end or the value exceeds 64 bits."""
    zigzag = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise DecodeError("malformed", "the message ends within a number")
        byte = data[position]
        position += 1
        zigzag |= (byte & 0x7F) << shift
        if byte < 0x80:  # the continuation bit
            if zigzag >> 64:
                break
            return (zigzag >> 1) ^ -(zigzag & 1), position
    raise DecodeError("malformed", "a number is longer than 64 bits")


def take_text(message: bytes, position: int, length: int) -> str:
    """String of `length` bytes at `position`. Raises DecodeError(malformed) where it is not UTF-8."""
    try:
        return message[position : position + length].decode()
    except UnicodeDecodeError as error:
        raise DecodeError("malformed", f"text is not UTF-8: {error}") from None


def int32(value: int) -> int:
    """`value`, where it fits an Avro int. Raises DecodeError(malformed)."""
    if not INT_MIN <= value <= INT_MAX:
        raise DecodeError("malformed", f"{value} does not fit an Avro int")
    return value


@inlined
def read_long(data: npt.NDArray[np.uint8], position: int) -> tuple[int, int]:
    """Compiled `take_long`: value and next position, or position -1 where the bytes are not a long."""
    zigzag = np.uint64(0)
    for i in range(10):
        if position >= data.size:
            return 0, -1
        byte = np.uint64(data[position])
        position += 1
        if i == 9 and byte > np.uint64(1):
            return 0, -1
        zigzag |= (byte & np.uint64(0x7F)) << np.uint64(7 * i)
        if byte < np.uint64(0x80):
            half = np.int64(zigzag >> np.uint64(1))
            return half ^ -np.int64(zigzag & np.uint64(1)), position  # type: ignore[return-value]  # compiled: a machine integer
    return 0, -1


@compiled
def pass_string(data: npt.NDArray[np.uint8], position: int, found: npt.NDArray[np.int64], slot: int) -> int:
    """Put position and length of a string's bytes into two slots of `found`; the position after it, or -1."""
    length, position = read_long(data, position)
    if position < 0 or length < 0 or length > data.size - position:
        return -1
    found[slot] = position
    found[slot + 1] = length
    return position + length


@compiled
def read_ints(data: npt.NDArray[np.uint8], position: int, out: npt.NDArray[np.int64]) -> int:
    """Fill `out` with consecutive longs; the position after them, or -1 where they are malformed."""
    for i in range(out.size):
        value, position = read_long(data, position)
        if position < 0:
            return -1
        out[i] = value
    return position


@compiled
def read_int32s(data: npt.NDArray[np.uint8], position: int, out: npt.NDArray[np.int32]) -> bool:
    """Fill `out` with consecutive ints, which are known to be well-formed; whether each fits 32 bits."""
    for i in range(out.size):
        value, position = read_long(data, position)
        if not INT_MIN <= value <= INT_MAX:
            return False
        out[i] = value
    return True


@compiled
def put_ints(values: npt.NDArray[np.int64], out: npt.NDArray[np.uint8]) -> int:
    """Write `values` as consecutive Avro longs into `out` (10 bytes a value suffice); the number of bytes written."""
    position = 0
    for value in values:
        zigzag = np.uint64(value << 1) ^ np.uint64(value >> 63)
        while zigzag > np.uint64(0x7F):
            out[position] = np.uint8((zigzag & np.uint64(0x7F)) | np.uint64(0x80))
            zigzag >>= np.uint64(7)
            position += 1
        out[position] = np.uint8(zigzag)
        position += 1
    return position
