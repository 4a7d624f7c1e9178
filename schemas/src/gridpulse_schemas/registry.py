"""The schema registry, through its Confluent-compatible API."""

import warnings
from collections.abc import Callable
from typing import Any, Protocol

from gridpulse_schemas.errors import DecodeError, RegistryUnavailableError

with warnings.catch_warnings(record=True):  # authlib's notice about httpx at import concerns neither us nor our users
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
    from confluent_kafka.schema_registry.error import SchemaRegistryError

__all__ = ["Registry", "SchemaStore"]

NOT_FOUND = 404
CONFLICT = 409
TRIES = 3
SERVER_ERROR = 500


class SchemaStore(Protocol):
    """What the codec asks of a registry."""

    def register(self, subject: str, text: str) -> int:
        """Register the schema under `subject` if it is new there; its id."""

    def fetch(self, schema_id: int) -> str:
        """JSON text of a schema. Raises DecodeError(unknown_schema) or RegistryUnavailableError."""


class Registry:
    """`SchemaStore` over HTTP. Answers are kept: an id never changes its schema.

    `url` is the registry's root (`…/apis/ccompat/v7` is added unless it is there). Every call raises
    RegistryUnavailableError where the registry does not answer or answers 5xx, after the client's own retries. `ca`: file of CA
    certificates that https is checked by, the system's where None.
    """

    def __init__(
        self, url: str, timeout: float = 5.0, *, ca: str | None = None, user: str | None = None, password: str | None = None
    ) -> None:
        root = url.rstrip("/")
        self.url = root if "/apis/" in root else f"{root}/apis/ccompat/v7"
        settings: dict[str, Any] = {"url": self.url, "timeout": timeout, "max.retries": 2}
        if ca:
            settings["ssl.ca.location"] = ca
        if user:
            settings["basic.auth.user.info"] = f"{user}:{password or ''}"
        self._client = SchemaRegistryClient(settings)

    def register(self, subject: str, text: str) -> int:
        """Register with compatibility FULL_TRANSITIVE what is not registered yet.

        Raises ValueError where an older version forbids the schema.
        """
        schema = Schema(text, "AVRO")
        try:
            known = self._known(subject, schema)
            if known is not None:
                return known
            self._agreeing(lambda: self._client.set_compatibility(subject, "FULL_TRANSITIVE"))
            return int(self._agreeing(lambda: self._client.register_schema(subject, schema)))
        except SchemaRegistryError as error:
            if error.http_status_code >= SERVER_ERROR:
                raise RegistryUnavailableError(f"{self.url} answered {error}") from error
            raise ValueError(f"the registry refuses the schema of {subject}: {error.error_message}") from error
        except Exception as error:
            raise RegistryUnavailableError(f"{self.url} does not answer: {error}") from error

    def _known(self, subject: str, schema: Any) -> int | None:
        """Id of `schema` under `subject`: all that a start asks, but the first one."""
        try:
            return int(self._client.lookup_schema(subject, schema).schema_id)
        except SchemaRegistryError as error:
            if error.http_status_code != NOT_FOUND:
                raise
            return None

    @staticmethod
    def _agreeing(change: Callable[[], Any]) -> Any:
        """Make `change`, again where another app made the same at the same moment; a conflict that stays is a refusal."""
        for _ in range(TRIES - 1):
            try:
                return change()
            except SchemaRegistryError as error:
                if error.http_status_code != CONFLICT:
                    raise
        return change()

    def fetch(self, schema_id: int) -> str:
        """JSON text of a schema. Raises DecodeError(unknown_schema) where no such id is registered."""
        try:
            schema = self._client.get_schema(schema_id)
        except SchemaRegistryError as error:
            if error.http_status_code == NOT_FOUND:
                raise DecodeError("unknown_schema", f"no schema has id {schema_id}") from None
            raise RegistryUnavailableError(f"{self.url} answered {error}") from error
        except Exception as error:
            raise RegistryUnavailableError(f"{self.url} does not answer: {error}") from error
        if schema.schema_type not in (None, "AVRO"):
            raise DecodeError("schema_mismatch", f"schema {schema_id} is {schema.schema_type}, not Avro")
        return str(schema.schema_str)
