"""What the real registry is relied on for: ids, texts, and the refusal of schemas that would break a reader."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gridpulse_native import Stack
from gridpulse_schemas import Codec, DecodeError, Registry, RegistryUnavailableError
from gridpulse_schemas.definitions import NAMES, definition

Register = Callable[..., int]


def test_a_registry_that_is_not_there(free_port: Callable[[], int]) -> None:
    registry = Registry(f"http://127.0.0.1:{free_port()}", timeout=1)
    with pytest.raises(RegistryUnavailableError, match="does not answer"):
        registry.register("gridpulse.Test", definition("Asset"))
    with pytest.raises(RegistryUnavailableError, match="does not answer"):
        registry.fetch(1)


@pytest.fixture
def registry(stack: Stack) -> Registry:
    return Registry(stack.environment()["GRIDPULSE_SCHEMA_REGISTRY_URL"])


@pytest.fixture
def register(registry: Registry) -> Register:
    """Register a record of these fields as the next version of a subject of this test."""
    name = f"Test{uuid.uuid4().hex}"

    def next_version(*fields: dict[str, Any]) -> int:
        schema = {"type": "record", "name": name, "namespace": "gridpulse", "fields": list(fields)}
        return registry.register(f"gridpulse.{name}", json.dumps(schema))

    return next_version


A = {"name": "a", "type": "int"}
B_TEXT = {"name": "b", "type": "string", "default": ""}
B_NUMBER = {"name": "b", "type": "int", "default": 0}


@pytest.mark.servers
def test_all_our_schemas_register_and_come_back(registry: Registry) -> None:
    codec = Codec(registry)
    assert Codec(registry).ids == codec.ids
    for name in NAMES:
        assert json.loads(registry.fetch(codec.ids[name])) == json.loads(definition(name))


@pytest.mark.servers
def test_an_unknown_id_is_the_message_s_fault(registry: Registry) -> None:
    with pytest.raises(DecodeError, match="unknown_schema"):
        registry.fetch(2_000_000_000)


@pytest.mark.servers
def test_an_additive_change_with_a_default_is_taken(register: Register) -> None:
    assert register(A) != register(A, B_TEXT)


@pytest.mark.servers
@pytest.mark.parametrize(
    "fields",
    [
        [{"name": "a", "type": "string"}],  # another type
        [A, {"name": "b", "type": "int"}],  # no default: old messages lack it
        [],  # a field that old readers need
    ],
)
def test_a_change_that_breaks_a_reader_is_refused(register: Register, fields: list[dict[str, Any]]) -> None:
    register(A)
    with pytest.raises(ValueError, match="the registry refuses"):
        register(*fields)


@pytest.mark.servers
def test_every_older_version_counts_not_only_the_last(register: Register) -> None:
    register(A, B_TEXT)
    register(A)
    with pytest.raises(ValueError, match="the registry refuses"):
        register(A, B_NUMBER)


@pytest.mark.servers
def test_apps_that_start_at_once_agree(stack: Stack) -> None:
    """Each of five apps registers the same schemas at its first start."""
    url = stack.environment()["GRIDPULSE_SCHEMA_REGISTRY_URL"]
    for _ in range(10):
        name = f"Test{uuid.uuid4().hex}"
        text = json.dumps({"type": "record", "name": name, "namespace": "gridpulse", "fields": [A]})
        start = threading.Barrier(6)

        def register_at_once(subject: str = f"gridpulse.{name}", text: str = text, start: threading.Barrier = start) -> int:
            registry = Registry(url)
            start.wait()
            return registry.register(subject, text)

        with ThreadPoolExecutor(6) as pool:
            ids = [pool.submit(register_at_once) for _ in range(6)]
            assert len({one.result() for one in ids}) == 1
