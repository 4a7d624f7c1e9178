"""Slack's incoming webhooks, which Mattermost and Rocket.Chat take too: `text` for all, `blocks` where they are understood."""

import json
from collections import Counter
from collections.abc import Sequence

from gridpulse_alerter.change import Change, iso
from gridpulse_alerter.digest import Digest
from gridpulse_alerter.matching import SEVERITIES
from gridpulse_alerter.notification import Summary

__all__ = ["SlackFormat"]

LINES = 10
"""Changes written out in one message; a screen holds no more. The others are counted."""
SECTION = 2900
"""Characters in a section; Slack takes 3,000."""


class SlackFormat:
    """One message a notification, the gravest first in a group."""

    path = ""

    def change(self, change: Change) -> bytes:
        """A line, and the numbers below it."""
        return _message(_line(change), [_line(change), _numbers(change)])

    def group(self, changes: Sequence[Change], rest: Digest) -> bytes:
        """How many of each severity, the gravest changes, and how many are not written out."""
        severities = Counter(change.event["severity"] for change in changes) + rest.severities
        headline = f"*{len(changes) + rest.count} changes of anomalies*: {_counts(severities)}"
        gravest = sorted(changes, key=lambda change: -SEVERITIES.index(change.event["severity"]))
        left = len(changes) - LINES + rest.count if len(changes) > LINES else rest.count
        more = [f"and {left} more"] if left else []
        return _message(headline, [headline, *(_line(change) for change in gravest[:LINES]), *more])

    def summary(self, summary: Summary) -> bytes:
        """Counts, and what is still open."""
        digest = summary.digest
        if summary.window is None:
            headline = f"*{digest.count} more changes of anomalies were held* by the rate of this receiver"
        else:
            until = iso(summary.window.end)
            why = _escape(summary.window.reason)
            headline = f"*Maintenance is over* ({why}, until {until}): {digest.count} changes were hidden"
        told = digest.told()
        lines = [_counts(digest.severities), _counts(digest.kinds), _counts(Counter(told["by_feeder"]))]
        if "other_feeders" in told:
            lines.append(f"{told['other_feeders']['count']} of {told['other_feeders']['feeders']} other feeders")
        if summary.window is not None:
            still = [f"{one['severity']} {one['kind']} {one['feeder_id']} / {one['asset_id']}" for one in summary.open[:LINES]]
            lines += [f"*Still open: {len(summary.open)}*", *map(_escape, still)]
        return _message(headline, [headline, *lines])


def _line(change: Change) -> str:
    event = change.event
    words = f"{event['severity']} {event['kind']} {event['state'].lower()}"
    return (
        f"*{words}* {_escape(event['feeder_id'])} / {_escape(event['asset_id'])}: {_escape(event.get('reason') or event['rule'])}"
    )


def _numbers(change: Change) -> str:
    event = change.event
    told = [f"{name} {event[name]:g} {event['unit']}" for name in ("observed", "expected", "peak") if event[name] is not None]
    told += [f"since {iso(event['started_at'])}", f"id {event['anomaly_id']}"]
    return _escape(" · ".join(told))


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {_escape(name)}" for name, count in counts.most_common()) or "none"


def _escape(text: str) -> str:
    """What Slack asks to be escaped: without it a reason could call a whole channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _message(text: str, lines: list[str]) -> bytes:
    section = {"type": "section", "text": {"type": "mrkdwn", "text": _shortened(lines)}}
    return json.dumps({"text": text[:SECTION], "blocks": [section]}, ensure_ascii=False).encode("utf-8", "replace")


def _shortened(lines: list[str]) -> str:
    """As many whole lines as fit."""
    text = lines[0][:SECTION]
    for line in lines[1:]:
        if len(text) + len(line) + 1 > SECTION:
            return f"{text}\n…"
        text = f"{text}\n{line}"
    return text
