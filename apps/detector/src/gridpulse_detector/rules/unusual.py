"""Unusual: the general score of a signal, whatever the signal, is close to one."""

from pydantic import Field, field_validator

from gridpulse_detector.rules.moving_average import SIGNALS
from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import inlined

__all__ = ["RULE", "Unusual", "severity"]


class Unusual(Parameters):
    """INFO only: a hint to look at, not an alarm. The score is that of `replay --scores` (docs/scores.md)."""

    signals: tuple[str, ...] = Field(("voltage",), description="signals that are scored")
    learn_readings: int = Field(1000, ge=100, le=1_000_000_000, description="before anything is judged")
    score: float = Field(0.999999, ge=0.5, le=1.0)
    clear_for_s: float = Field(60, ge=0, le=604_800)
    join_s: float = Field(900, ge=0, le=604_800)

    @field_validator("signals")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for signal in value:
            if signal not in SIGNALS:
                raise ValueError(f"{signal} is no signal; signals are {', '.join(SIGNALS)}")
        return value


@inlined
def severity(score: float, readings: int, limit: float, learn_readings: float) -> int:
    """1 (INFO) from the limit up, once enough readings have taught."""
    return 1 if score >= limit and readings >= learn_readings else 0


RULE = Rule(
    "unusual",
    "UNUSUAL",
    Unusual,
    "",
    "{signal} at {asset} is unusual given its past: {observed:g} {unit}, score {score:.5f}.",
)
