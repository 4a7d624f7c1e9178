"""The rules' parameters as compiled code takes them: one record a set, and few sets, because most assets share one."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector.rules import TIMES
from gridpulse_detector.ruleset import LEVELS, SECTIONS, Rules

__all__ = ["HOLDS", "LIMITS", "ParameterSet", "ParameterSets"]

HOLDS = np.dtype([("lasting", "<i8"), ("clear", "<i8"), ("join", "<i8"), ("escalate", "<i8"), ("enabled", "<i8")])
"""Of a channel: for_s (`lasting`), clear_for, join and escalate (ms), and whether its rule judges."""


def numbers(section: str) -> list[str]:
    """Keys of a rule that are single numbers of its own."""
    fields = SECTIONS[section].model_fields
    return [name for name, field in fields.items() if field.annotation in (float, int) and name not in TIMES]


LIMITS = np.dtype([(f"{section}_{key}", "<f8") for section in SECTIONS for key in numbers(section)])
"""All single numbers of all rules: `limits.sag_below_pu` is `below_pu` of [sag]."""


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """Parameters of the assets that share the same overrides. By channel: `versions`, `parameters`."""

    limits: npt.NDArray[np.void]
    holds: npt.NDArray[np.void]
    versions: tuple[str, ...]
    parameters: tuple[dict[str, float], ...]
    deadbands: dict[str, float]


class ParameterSets:
    """Every set in use, numbered as it is met; `limits` LIMITS (sets,), `holds` HOLDS (sets, channels)."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._numbers: dict[tuple[str | None, ...], int] = {}
        self._named = tuple(rules.overrides(level) for level in LEVELS)
        self.sets: list[ParameterSet] = []
        self.limits = np.zeros(0, LIMITS)
        self.holds = np.zeros((0, len(rules.channels)), HOLDS)

    def number(self, asset_class: str, feeder: str, asset: str) -> int:
        """Number of the set for an asset: same overrides, same set."""
        key = tuple(
            name if name in named else None for name, named in zip((asset_class, feeder, asset), self._named, strict=True)
        )
        found = self._numbers.get(key)
        if found is None:
            changes = [named[name] for name, named in zip(key, self._named, strict=True) if name is not None]
            found = self._numbers[key] = len(self.sets)
            self.sets.append(parameter_set(self._rules, changes))
            self.limits = np.array([one.limits for one in self.sets], LIMITS)
            self.holds = np.array([one.holds for one in self.sets], HOLDS)
        return found


def parameter_set(rules: Rules, changes: list[dict[str, dict[str, Any]]]) -> ParameterSet:
    """Set with `changes` on top of the global parameters, the last one strongest."""
    sections = {name: rules.section(name, *(change.get(name, {}) for change in changes)) for name in SECTIONS}
    limits = np.zeros((), LIMITS)
    for name, section in sections.items():
        for key in numbers(name):
            limits[f"{name}_{key}"] = getattr(section, key)
    holds = np.zeros(len(rules.channels), HOLDS)
    versions, parameters = [], []
    for channel, (rule, _) in enumerate(rules.channels):
        name, _, signal = rule.partition(".")
        section = sections[name]
        holds[channel] = (*(int(getattr(section, key) * 1000) for key in TIMES), int(section.enabled))
        text = section.model_dump_json() + (rules.windows.model_dump_json() if name == "moving_average" else "")
        versions.append(hashlib.sha256(text.encode()).hexdigest()[:8])
        told = {key: float(getattr(section, key)) for key in (*numbers(name), *TIMES)}
        if name == "moving_average":
            told["deadband_percent"] = float(getattr(section, "deadband_percent")[signal])  # noqa: B009  a rule's own key
        parameters.append(told)
    deadbands = dict(getattr(sections["moving_average"], "deadband_percent"))  # noqa: B009
    return ParameterSet(limits, holds, tuple(versions), tuple(parameters), deadbands)
