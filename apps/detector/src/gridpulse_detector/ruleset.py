"""rules.toml, checked and turned into the numbers the kernel takes."""

import hashlib
import json
import tomllib
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from gridpulse_schemas import COLUMN_NAMES

__all__ = ["RuleError", "Rules", "load_rules"]


class RuleError(Exception):
    """A rules file that cannot be used: names file, key, value and what is allowed."""


class Section(BaseModel):
    """A table of rules.toml: unknown keys are mistakes."""

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


class MovingAverage(Section):
    """Parameters of rules/moving_average.py."""

    sigmas: float = Field(2.5, ge=1.5, le=4.0)
    min_readings: int = Field(30, ge=2, le=1_000_000)
    for_s: float = Field(3, ge=0, le=86_400)
    clear_for_s: float = Field(10, ge=0, le=86_400)
    deadband_percent: dict[str, float] = Field(default_factory=lambda: {"voltage": 8.0, "current": 40.0})

    @field_validator("deadband_percent")
    @classmethod
    def _known(cls, value: dict[str, float]) -> dict[str, float]:
        for signal, percent in value.items():
            if signal not in COLUMN_NAMES:
                raise ValueError(f"{signal} is no signal; signals are {', '.join(COLUMN_NAMES)}")
            if not 0 <= percent <= 1000:
                raise ValueError(f"{signal} = {percent} is outside 0 to 1000 percent")
        return value


class VoltageLimits(Section):
    """Parameters of rules/voltage_limits.py."""

    interruption_pu: float = Field(0.1, ge=0.01, le=0.5)
    low_pu: float = Field(0.9, ge=0.5, le=0.99)
    high_pu: float = Field(1.1, ge=1.01, le=2.0)
    sustained_s: float = Field(60, ge=1, le=86_400)
    clear_for_s: float = Field(5, ge=0, le=86_400)


class EquipmentFailure(Section):
    """Parameters of rules/equipment_failure.py."""

    clear_for_s: float = Field(10, ge=0, le=86_400)


class Rollups(Section):
    """Which signals the feeder rollups carry."""

    signals: tuple[str, ...] = ("voltage", "current", "active_power", "reactive_power", "frequency", "thd", "temperature")

    @field_validator("signals")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = set(value) - set(COLUMN_NAMES)
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: no such signal; signals are {', '.join(COLUMN_NAMES)}")
        return value


FIXED_CHANNELS = (
    ("interruption", "INTERRUPTION"),
    ("undervoltage", "UNDERVOLTAGE"),
    ("overvoltage", "OVERVOLTAGE"),
    ("sag", "SAG"),
    ("swell", "SWELL"),
    ("equipment_failure", "EQUIPMENT_FAILURE"),
)


class Rules(Section):
    """All of rules.toml."""

    windows: Windows = Windows()
    moving_average: MovingAverage = MovingAverage()
    voltage_limits: VoltageLimits = VoltageLimits()
    equipment_failure: EquipmentFailure = EquipmentFailure()
    rollups: Rollups = Rollups()

    @cached_property
    def signals(self) -> tuple[str, ...]:
        """Signals of the moving average, one channel each."""
        return tuple(sorted(self.moving_average.deadband_percent))

    @cached_property
    def channels(self) -> tuple[tuple[str, str], ...]:
        """Name and anomaly kind of every channel, in the kernel's order."""
        return FIXED_CHANNELS + tuple((f"moving_average.{signal}", "DEVIATION") for signal in self.signals)

    @cached_property
    def holds(self) -> npt.NDArray[np.int64]:
        """`for` and `clear_for` of every channel, ms, int64 (channels, 2)."""
        volts, average = self.voltage_limits, self.moving_average
        clear = volts.clear_for_s
        rows = [(0, clear), (volts.sustained_s, clear), (volts.sustained_s, clear), (0, clear), (0, clear)]
        rows += [(0, self.equipment_failure.clear_for_s), *[(average.for_s, average.clear_for_s) for _ in self.signals]]
        return np.array([(int(a * 1000), int(b * 1000)) for a, b in rows], np.int64)

    @cached_property
    def limits(self) -> npt.NDArray[np.float64]:
        """Interruption, low and high limit in pu; sigmas; least readings."""
        volts, average = self.voltage_limits, self.moving_average
        return np.array([volts.interruption_pu, volts.low_pu, volts.high_pu, average.sigmas, average.min_readings], np.float64)

    @cached_property
    def versions(self) -> tuple[str, ...]:
        """Hash of the parameters of each channel's rule, eight hex digits."""
        sections = [self.voltage_limits] * 5 + [self.equipment_failure]
        texts = [section.model_dump_json() for section in sections]
        texts += [self.windows.model_dump_json() + self.moving_average.model_dump_json()] * len(self.signals)
        return tuple(hashlib.sha256(text.encode()).hexdigest()[:8] for text in texts)


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
        first = error.errors(include_url=False, include_context=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        shown = json.dumps(first["input"], default=str)[:80]
        raise RuleError(f"{name}: {key} = {shown}: {first['msg']}") from None
