"""Who is told of an anomaly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gridpulse_alerter.matching import Match
from gridpulse_alerter.receivers import Receiver

__all__ = ["Route", "Routing"]


@dataclass(frozen=True, slots=True)
class Route:
    """What `match` meets goes to `receivers`; the routes after it are looked at only where it says `go_on`."""

    match: Match
    receivers: tuple[str, ...]
    go_on: bool = False


@dataclass(frozen=True, slots=True)
class Routing:
    """Receivers and routes. Without routes everything goes to everyone; `always` are receivers no route decides about."""

    receivers: Sequence[Receiver]
    routes: Sequence[Route] = ()
    always: frozenset[str] = frozenset()

    def taken(self, event: Mapping[str, Any]) -> list[int]:
        """Indices of the routes that `event` takes, in order."""
        found = []
        for number, route in enumerate(self.routes):
            if route.match(event):
                found.append(number)
                if not route.go_on:
                    break
        return found

    def offered(self, event: Mapping[str, Any]) -> frozenset[str]:
        """Names of those it is led to, whether or not it is severe enough for them."""
        if not self.routes:
            return frozenset(receiver.name for receiver in self.receivers)
        return self.always.union(*(self.routes[number].receivers for number in self.taken(event)))

    def names(self, event: Mapping[str, Any]) -> frozenset[str]:
        """Names of the receivers that `event` is for."""
        offered = self.offered(event)
        return frozenset(each.name for each in self.receivers if each.name in offered and each.wants(event["severity"]))
