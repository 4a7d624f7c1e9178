"""One sentence a field crew understands, from the sentence of the rule and the facts of the event."""

from typing import Any

from gridpulse_detector.rules import FIXED, moving_average, unusual

__all__ = ["reason"]

SENTENCES = {rule.name: rule.sentence for rule in (*FIXED, moving_average.RULE, unusual.RULE)}
NAMED = 3
"""Members told by name; the rest by number."""


def reason(record: dict[str, Any]) -> str:
    """Sentence for an AnomalyEvent record."""
    rule, _, signal = record["rule"].partition(".")
    sentence = SENTENCES.get(record["rule"]) or SENTENCES[rule]
    known = {name: 0.0 if record[name] is None else record[name] for name in ("observed", "expected", "lower", "upper", "peak")}
    expected = known["expected"] or 1.0
    lasted = (record["ended_at"] or record["detected_at"]) - record["started_at"]
    told = sentence.format(
        asset=record["asset_id"],
        signal=signal.replace("_", " ").capitalize(),
        unit=record["unit"],
        score=record["score"],
        percent=100 * known["observed"] / expected,
        peak_percent=100 * known["peak"] / expected,
        exported=-known["observed"],
        minutes=lasted / 60_000,
        lasting=f" for {span(lasted)}" if lasted >= 1000 else "",
        affected=affected(record["members"]),
        suspects=suspects(record["members"]),
        **known,
    )
    if record["state"] == "CLOSED":
        return f"Over after {span(lasted)}: {told}"
    return f"Taken back, later readings explain it: {told}" if record["state"] == "RETRACTED" else told


def span(milliseconds: int) -> str:
    """Duration for people."""
    seconds = milliseconds / 1000
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def affected(members: list[dict[str, Any]]) -> str:
    """How many and which."""
    if not members:
        return ""
    names = ", ".join(member["asset_id"] for member in members[:NAMED])
    return f" ({len(members)}: {names}{' …' if len(members) > NAMED else ''})"


def suspects(members: list[dict[str, Any]]) -> str:
    """Who used less than usual, the most first."""
    names = [f"{member['asset_id']} ({member['value'] or 0:,.0f} Wh below its usual)" for member in members[:NAMED]]
    return f"; look first at {', '.join(names)}" if names else ""
