"""Energy balance of a transformer: its head meter against the sum of its customers.

What is missing was lost, not read, or taken.
"""

import math

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "EnergyBalance", "severity", "uncertainty"]


class EnergyBalance(Parameters):
    """Compared an hour at a time. Errors in percent are one standard deviation."""

    loss_percent: float = Field(3, ge=0, le=50, description="technical losses expected, % of what the head meter saw")
    loss_sigma_percent: float = Field(1, ge=0, le=50, description="how well they are known")
    accuracy_percent: float = Field(0.5, ge=0, le=10, description="of the head meter, class 0.5")
    sigmas: float = Field(3, ge=1, le=20)
    least_wh: float = Field(200, ge=0, le=1e9, description="missing in an hour, below which nobody drives out")
    coverage_percent: float = Field(60, ge=1, le=100, description="customers read, without which nothing is judged")
    for_s: float = Field(5400, ge=0, le=604_800)
    clear_for_s: float = Field(7200, ge=0, le=604_800)
    join_s: float = Field(86_400, ge=0, le=604_800)


@compiled
def uncertainty(head_wh: float, loss_sigma_percent: float, accuracy_percent: float, unread_variance: float) -> float:
    """σ of (head − customers − losses), Wh: losses, head meter and customers not read, independent of each other."""
    loss = loss_sigma_percent / 100.0 * head_wh
    accuracy = accuracy_percent / 100.0 * head_wh
    return math.sqrt(loss * loss + accuracy * accuracy + unread_variance)


@compiled
def severity(missing_wh: float, sigma: float, sigmas: float, least_wh: float) -> int:
    """2 (WARNING) where more is missing than errors explain, 3 (ERROR) at three times that."""
    if not (missing_wh > sigmas * sigma and missing_wh > least_wh):
        return 0
    return 3 if missing_wh > 3.0 * sigmas * sigma else 2


RULE = Rule(
    "energy_balance",
    "ENERGY_BALANCE",
    EnergyBalance,
    "Wh",
    "Behind transformer {asset} {observed:,.0f} Wh an hour are unaccounted for beyond losses (up to {upper:,.0f} Wh can be error)"
    "{lasting}{suspects}.",
)
