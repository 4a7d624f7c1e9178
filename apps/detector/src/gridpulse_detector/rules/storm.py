"""Storm: so many outages of a feeder in a while that they are one incident, which lists its members."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule

__all__ = ["RULE", "Storm"]


class Storm(Parameters):
    """While it is open, further outages of meters and transformers are members and no anomalies of their own."""

    outages: int = Field(10, ge=2, le=1_000_000, description="more of them than this within the window")
    window_s: float = Field(600, ge=1, le=604_800)
    clear_for_s: float = Field(60, ge=0, le=604_800)
    join_s: float = Field(1800, ge=0, le=604_800)


RULE = Rule("storm", "STORM", Storm, "outages", "Storm on {asset}: {observed:.0f} outages within minutes{affected}{lasting}.")
