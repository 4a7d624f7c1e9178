"""The access manifest: what each program may do in Kafka, as access control lists."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from gridpulse_schemas.topics import TOPICS

__all__ = ["ACCESS", "Grant"]

Resource = Literal["topic", "group", "transactional_id"]


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One allowed operation, in Kafka's words: on one resource, or on all whose names begin with `name` where `prefixed`."""

    resource: Resource
    name: str
    operation: str
    prefixed: bool = False


def _load() -> dict[str, tuple[Grant, ...]]:
    manifest = tomllib.loads((files("gridpulse_schemas") / "access.toml").read_text(encoding="utf-8"))
    return {program: tuple(sorted(_grants(**entry))) for program, entry in manifest.items()}


def _grants(
    read: tuple[str, ...] = (),
    write: tuple[str, ...] = (),
    groups: tuple[str, ...] = (),
    transactions: tuple[str, ...] = (),
    state: tuple[str, ...] = (),
    *,
    create: bool = False,
) -> set[Grant]:
    """READ and WRITE bring DESCRIBE with them; Quix Streams reads the settings of the topics it works with."""
    found = {Grant("topic", name, "READ") for name in read} | {Grant("topic", name, "WRITE") for name in write}
    found |= {Grant("topic", name, "DESCRIBE_CONFIGS") for name in (*read, *write)}
    if create:
        found |= {Grant("topic", name, operation) for name in TOPICS for operation in ("CREATE", "DESCRIBE")}
    found |= {Grant("group", name, "READ", prefixed=True) for name in groups}
    found |= {Grant("transactional_id", name, "WRITE", prefixed=True) for name in transactions}
    operations = ("READ", "WRITE", "CREATE", "DESCRIBE_CONFIGS")
    found |= {Grant("topic", name, operation, prefixed=True) for name in state for operation in operations}
    return found


ACCESS = _load()
"""Grants by program."""
