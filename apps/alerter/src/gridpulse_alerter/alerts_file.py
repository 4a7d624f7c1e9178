"""The tables of alerts.toml, checked; docs/alerts.md says what each key means."""

import json
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from gridpulse_alerter.durations import Duration
from gridpulse_alerter.errors import BadAlertsError
from gridpulse_alerter.matching import Match, at_least
from gridpulse_schemas.definitions import definition

__all__ = ["ENUMS", "URL", "AlertsFile", "MaintenanceTable", "ReceiverTable", "RouteTable", "read"]

URL = r"^https?://[^\s/]+\S*$"


def _enums() -> dict[str, tuple[str, ...]]:
    fields = json.loads(definition("AnomalyEvent"))["fields"]
    return {field["name"]: tuple(field["type"]["symbols"]) for field in fields if "symbols" in field["type"]}


ENUMS = _enums()
"""Values of kind, severity, state and asset_type, from the schema."""


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _one_of(name: str) -> AfterValidator:
    def check(values: list[str]) -> list[str]:
        for value in values:
            if value not in ENUMS[name]:
                raise ValueError(f"{value!r} is no {name}; there are {', '.join(ENUMS[name])}")
        return values

    return AfterValidator(check)


def _text_or_time(value: Any) -> Any:
    if not isinstance(value, str | datetime):
        raise ValueError("write a time with its offset: 2026-01-31T08:00:00Z")  # noqa: TRY004  pydantic takes ValueError
    return value


Names = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]
Kinds = Annotated[Names, _one_of("kind")]
States = Annotated[Names, _one_of("state")]
AssetTypes = Annotated[Names, _one_of("asset_type")]
Severity = Literal["INFO", "WARNING", "ERROR", "CRITICAL"]
Instant = Annotated[AwareDatetime, BeforeValidator(_text_or_time)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Table(BaseModel):
    """What all tables share: an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ReceiverTable(Table):
    """[[receivers]]."""

    name: Name
    type: Literal["webhook", "alertmanager", "slack"] = "webhook"
    url: Annotated[str, StringConstraints(pattern=URL)] | None = None
    url_file: Path | None = None
    secret_file: Path | None = None
    min_severity: Severity = "INFO"
    history: Annotated[Duration, Field(ge=0)] = 3600.0
    group_wait: Annotated[Duration, Field(ge=0, le=900)] = 0.0
    rate: Annotated[int, Field(ge=1, le=10_000)] | None = None
    open_for: Annotated[Duration, Field(ge=60)] = 86_400.0
    allow_private: bool | None = None
    timeout: Annotated[Duration, Field(gt=0, le=10)] | None = None

    @model_validator(mode="after")
    def keys_fit_the_type(self) -> Self:
        """Raise ValueError where a key has no meaning for this type of receiver."""
        if (self.url is None) == (self.url_file is None):
            raise ValueError("needs either url or url_file")
        if self.secret_file is not None and self.type != "webhook":
            raise ValueError('secret_file signs webhooks: only for type = "webhook"')
        if self.rate is not None and self.type == "alertmanager":
            raise ValueError('no rate with type = "alertmanager": it limits itself, and an alert whose end is held stays open')
        if "open_for" in self.model_fields_set and self.type != "alertmanager":
            raise ValueError('open_for is only for type = "alertmanager"')
        return self


class RouteTable(Table):
    """[[routes]]."""

    severity: Severity | Annotated[list[Severity], Field(min_length=1)] | None = None
    kind: Kinds | None = None
    feeder: Names | None = None
    asset: Names | None = None
    asset_type: AssetTypes | None = None
    state: States | None = None
    receivers: Names
    go_on: bool = Field(default=False, alias="continue")

    @property
    def match(self) -> Match:
        """Its condition; `severity` as a word means at least that."""
        severity = at_least(self.severity) if isinstance(self.severity, str) else _set(self.severity)
        return Match(severity, _set(self.kind), _set(self.asset_type), _set(self.state), _globs(self.feeder), _globs(self.asset))


class MaintenanceTable(Table):
    """[[maintenance]]."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    start: Instant = Field(alias="from")
    end: Instant = Field(alias="until")
    feeder: Names | None = None
    asset: Names | None = None
    kind: Kinds | None = None
    asset_type: AssetTypes | None = None

    @model_validator(mode="after")
    def is_a_scoped_span(self) -> Self:
        """Raise ValueError where it has no scope, or ends before it begins."""
        if self.start >= self.end:
            raise ValueError("until must be later than from")
        if self.match == Match():
            raise ValueError('needs a scope: feeder, asset, kind or asset_type; feeder = "*" means everything')
        return self

    @property
    def match(self) -> Match:
        """Its scope."""
        return Match(None, _set(self.kind), _set(self.asset_type), None, _globs(self.feeder), _globs(self.asset))


class AlertsFile(Table):
    """All of alerts.toml."""

    receivers: list[ReceiverTable] = Field(default_factory=list)
    routes: list[RouteTable] = Field(default_factory=list)
    maintenance: list[MaintenanceTable] = Field(default_factory=list)


def read(path: Path) -> AlertsFile:
    """Tables of the file. Raises BadAlertsError, which names the file, the table and the key, and what is allowed."""
    where = f"GRIDPULSE_ALERTS: {path}"
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return AlertsFile.model_validate(content)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadAlertsError(f"{where}: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        told = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            told = f"unknown key; there are {', '.join(_keys(first['loc']))}"
        raise BadAlertsError(f"{where}: {_path(first['loc'])}: {told}") from None


def _keys(location: tuple[int | str, ...]) -> list[str]:
    tables: dict[int | str, type[Table]] = {
        "receivers": ReceiverTable,
        "routes": RouteTable,
        "maintenance": MaintenanceTable,
    }
    table = tables.get(location[0], AlertsFile) if len(location) > 1 else AlertsFile
    return [field.alias or name for name, field in table.model_fields.items()]


def _path(location: tuple[int | str, ...]) -> str:
    """`receivers[0].url`; what pydantic adds to tell one type of a union from another says nothing to people."""
    told = [part for part in location if isinstance(part, int) or part.isidentifier()]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in told).removeprefix(".")


def _set(values: list[Any] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)


def _globs(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
