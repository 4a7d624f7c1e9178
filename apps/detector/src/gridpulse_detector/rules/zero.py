"""Unexpected zero: a meter that always draws something draws nothing, with voltage present."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "Zero", "severity"]


class Zero(Parameters):
    """Power and current of exactly nothing, where readings of nothing have been rare."""

    learn_s: float = Field(3600, ge=0, le=31_536_000, description="history needed before anything is judged")
    learn_readings: int = Field(100, ge=1, le=10_000_000, description="and readings")
    usual_percent: float = Field(1, ge=0, le=100, description="share of zeros in the history from which on zero is usual")
    chance: float = Field(1e-5, ge=1e-15, le=1, description="probability of the run of zeros, from which on it is no chance")
    for_s: float = Field(300, ge=0, le=604_800)
    clear_for_s: float = Field(0, ge=0, le=604_800)


NEVER, FORGOTTEN = 500, 1e-9


@compiled
def severity(zeros: int, zero_share: float, readings: int, usual_percent: float, chance: float) -> int:
    """2 (WARNING) for `zeros` in a row that are no chance, where zeros are rarer than usual_percent.

    By chance a run of n has probability pⁿ, p the share of zeros in the history, at least one in as many readings as there were.
    The first zero ever is none either, after NEVER readings without one.
    """
    if zeros == 0 or 100.0 * zero_share >= usual_percent:
        return 0
    if readings >= NEVER and zero_share < FORGOTTEN:
        return 2
    share = max(zero_share, 1.0 / (1.0 + readings))
    return 2 if share**zeros <= chance else 0


RULE = Rule(
    "zero",
    "ZERO",
    Zero,
    "W",
    "{asset} draws nothing{lasting} although voltage is present and it is seldom at zero: check for a bypass or a failed meter.",
)
