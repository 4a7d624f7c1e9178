"""What every rule file declares: its parameters with their ranges, what it is called, and what it says to a field crew."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Parameters", "Rule"]

TIMES = ("for_s", "clear_for_s", "join_s", "escalate_s")


class Parameters(BaseModel):
    """A table of rules.toml: unknown keys are mistakes. These keys every rule has; times in seconds of event time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(default=True, description="whether the rule judges at all")
    for_s: float = Field(0, ge=0, le=604_800, description="a finding must last this long to be an anomaly")
    clear_for_s: float = Field(5, ge=0, le=604_800, description="and be gone this long to be over")
    join_s: float = Field(60, ge=0, le=604_800, description="one that comes back within this time is the same anomaly")
    escalate_s: float = Field(0, ge=0, le=604_800, description="severity rises by one when it has lasted this long; 0: never")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as the outside sees it.

    `name`: section of rules.toml, and after a dot what of it, where a section has several channels; `kind`: of AnomalyKind;
    `unit`: of observed and limits. `sentence`: format string over the fields of the event, for a person who knows the grid and
    not this program.
    """

    name: str
    kind: str
    parameters: type[Parameters]
    unit: str
    sentence: str
