"""rules.toml, checked: one table a rule, and tables that override it for a class of assets, a feeder or one asset."""

import json
import tomllib
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import annotated_types
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from gridpulse_detector.rules import FIXED, Parameters, moving_average
from gridpulse_detector.rules.base_load import BaseLoad
from gridpulse_detector.rules.cover_open import CoverOpen
from gridpulse_detector.rules.drift import Drift
from gridpulse_detector.rules.energy_balance import EnergyBalance
from gridpulse_detector.rules.equipment_failure import EquipmentFailure
from gridpulse_detector.rules.frequency import Frequency
from gridpulse_detector.rules.interruption import Interruption
from gridpulse_detector.rules.low_power_factor import LowPowerFactor
from gridpulse_detector.rules.moving_average import MovingAverage
from gridpulse_detector.rules.outage import Outage
from gridpulse_detector.rules.over_temperature import OverTemperature
from gridpulse_detector.rules.overload import Overload
from gridpulse_detector.rules.overvoltage import Overvoltage
from gridpulse_detector.rules.register_backwards import RegisterBackwards
from gridpulse_detector.rules.reverse_flow import ReverseFlow
from gridpulse_detector.rules.rocof import Rocof
from gridpulse_detector.rules.sag import Sag
from gridpulse_detector.rules.seasonal import Seasonal
from gridpulse_detector.rules.silent import Silent
from gridpulse_detector.rules.spike import Spike
from gridpulse_detector.rules.storm import Storm
from gridpulse_detector.rules.stuck_measurement import StuckMeasurement
from gridpulse_detector.rules.stuck_register import StuckRegister
from gridpulse_detector.rules.sum_check import SumCheck
from gridpulse_detector.rules.swell import Swell
from gridpulse_detector.rules.tamper import Tamper
from gridpulse_detector.rules.thd import Thd
from gridpulse_detector.rules.unbalance import Unbalance
from gridpulse_detector.rules.undervoltage import Undervoltage
from gridpulse_detector.rules.unusual import Unusual
from gridpulse_detector.rules.zero import Zero

__all__ = ["RuleError", "Rules", "load_rules"]


class RuleError(Exception):
    """A rules file that cannot be used: names file, key, value and what is allowed."""


class Section(BaseModel):
    """A table of rules.toml that is no rule: unknown keys are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Windows(Section):
    """Lengths in seconds."""

    window_s: int = Field(300, ge=2, le=7 * 86_400)
    hop_s: int = Field(10, ge=1, le=86_400)
    grace_s: int = Field(10, ge=0, le=3600)

    @model_validator(mode="after")
    def _multiples(self) -> "Windows":
        if self.window_s % self.hop_s:
            raise ValueError(f"window_s must be a multiple of hop_s, and {self.window_s} is none of {self.hop_s}")
        if self.window_s // self.hop_s > 10_000:
            raise ValueError("a window may have at most 10,000 panes: raise hop_s")
        return self


class Rollups(Section):
    """Which signals the feeder rollups carry."""

    signals: tuple[str, ...] = ("voltage", "current", "active_power", "reactive_power", "frequency", "thd", "temperature")

    @field_validator("signals")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = set(value) - set(moving_average.SIGNALS)
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: no such signal; signals are {', '.join(moving_average.SIGNALS)}")
        return value


Override = dict[str, dict[str, Any]]
"""By rule, some of its parameters."""
LEVELS = ("class", "feeder", "asset")
"""Tables of overrides, from the general to the particular: the last one that says something holds."""


class Rules(Section):
    """All of rules.toml."""

    windows: Windows = Windows()
    rollups: Rollups = Rollups()
    interruption: Interruption = Interruption()
    undervoltage: Undervoltage = Undervoltage()
    overvoltage: Overvoltage = Overvoltage()
    sag: Sag = Sag()
    swell: Swell = Swell()
    thd: Thd = Thd()
    unbalance: Unbalance = Unbalance()
    low_power_factor: LowPowerFactor = LowPowerFactor()
    spike: Spike = Spike()
    stuck_measurement: StuckMeasurement = StuckMeasurement()
    stuck_register: StuckRegister = StuckRegister()
    zero: Zero = Zero()
    reverse_flow: ReverseFlow = ReverseFlow()
    register_backwards: RegisterBackwards = RegisterBackwards()
    sum_check: SumCheck = SumCheck()
    over_temperature: OverTemperature = OverTemperature()
    equipment_failure: EquipmentFailure = EquipmentFailure()
    tamper: Tamper = Tamper()
    cover_open: CoverOpen = CoverOpen()
    seasonal: Seasonal = Seasonal()
    drift: Drift = Drift()
    base_load: BaseLoad = BaseLoad()
    overload: Overload = Overload()
    energy_balance: EnergyBalance = EnergyBalance()
    outage: Outage = Outage()
    silent: Silent = Silent()
    storm: Storm = Storm()
    frequency: Frequency = Frequency()
    rocof: Rocof = Rocof()
    moving_average: MovingAverage = MovingAverage()
    unusual: Unusual = Unusual()
    by_class: dict[str, Override] = Field(default_factory=dict, alias="class")
    by_feeder: dict[str, Override] = Field(default_factory=dict, alias="feeder")
    by_asset: dict[str, Override] = Field(default_factory=dict, alias="asset")

    @model_validator(mode="after")
    def _overrides(self) -> "Rules":
        for level in LEVELS:
            for name, override in self.overrides(level).items():
                for rule, values in override.items():
                    where = f'{level}."{name}".{rule}'
                    if rule not in SECTIONS:
                        raise ValueError(f"{where}: no such rule; rules are {', '.join(SECTIONS)}")
                    try:
                        changed = self.section(rule, values)
                    except ValidationError as error:
                        raise ValueError(f"{where}.{told(error, SECTIONS[rule])}") from None
                    if shape(changed) != shape(self.section(rule)):
                        raise ValueError(f"{where}: the signals of a rule are the same for all assets; change its numbers only")
        return self

    def overrides(self, level: str) -> dict[str, Override]:
        """Tables of a level by the name of the class, feeder or asset."""
        found: dict[str, Override] = getattr(self, f"by_{level}")
        return found

    def section(self, rule: str, *changes: dict[str, Any]) -> Parameters:
        """Parameters of `rule`, with `changes` on top, the last one strongest. Raises ValidationError."""
        own: Parameters = getattr(self, rule)
        if not any(changes):
            return own
        merged = own.model_dump()
        for change in changes:
            for key, value in change.items():
                merged[key] = {**merged[key], **value} if isinstance(merged.get(key), dict) and isinstance(value, dict) else value
        return type(own).model_validate(merged)

    @cached_property
    def signals(self) -> tuple[str, ...]:
        """Signals of the moving average, one channel each."""
        return tuple(sorted(self.moving_average.deadband_percent))

    @cached_property
    def channels(self) -> tuple[tuple[str, str], ...]:
        """Name and anomaly kind of every channel, in the kernel's order."""
        own = tuple((rule.name, rule.kind) for rule in FIXED)
        averages = tuple((f"moving_average.{signal}", "DEVIATION") for signal in self.signals)
        return own + averages + tuple((f"unusual.{signal}", "UNUSUAL") for signal in self.unusual.signals)


SECTIONS: dict[str, type[Parameters]] = {
    name: field.annotation
    for name, field in Rules.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Parameters)
}
"""Every rule's table and the class that checks it."""


def shape(section: Parameters) -> Any:
    """What of the parameters decides how state is laid out."""
    if isinstance(section, MovingAverage):
        return sorted(section.deadband_percent)
    return section.signals if isinstance(section, Unusual) else None


def load_rules(path: Path | None) -> Rules:
    """Rules of `path`, or those the package carries. Raises RuleError."""
    name = str(path) if path else "the packaged rules.toml"
    try:
        text = path.read_text("utf-8") if path else (files("gridpulse_detector") / "rules.toml").read_text("utf-8")
        content: dict[str, Any] = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RuleError(f"{name}: {error}") from None
    try:
        return Rules.model_validate(content)
    except ValidationError as error:
        raise RuleError(f"{name}: {told(error, Rules)}") from None


def told(error: ValidationError, model: type[BaseModel]) -> str:
    """The first mistake: key, value and the allowed range, from the field's own bounds."""
    first = error.errors(include_url=False, include_context=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if not key:
        return message
    allowed = bounds(model, tuple(first["loc"]))
    shown = json.dumps(first["input"], default=str)[:80]
    return f"{key} = {shown}: {message}{f' (allowed: {allowed})' if allowed else ''}"


def bounds(model: type[BaseModel], place: tuple[int | str, ...]) -> str:
    """Range of the field at `place`, or the keys that exist where it does not."""
    for part in place:
        field = model.model_fields.get(str(part))
        if field is None:
            return f"the keys {', '.join(f.alias or name for name, f in model.model_fields.items())}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            model = field.annotation
            continue
        ends = {type(limit): limit for limit in field.metadata}
        low, high = ends.get(annotated_types.Ge), ends.get(annotated_types.Le)
        return f"{low.ge:g} to {high.le:g}" if low and high else ""
    return ""
