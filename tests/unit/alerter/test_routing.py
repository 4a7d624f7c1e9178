"""Who is told of what."""

from collections.abc import Callable
from typing import Any

import pytest

from gridpulse_alerter.matching import Match, at_least
from gridpulse_alerter.receivers import Receiver
from gridpulse_alerter.routing import Route, Routing

Make = Callable[..., dict[str, Any]]
ALL = [Receiver(name, f"http://{name}.invalid") for name in ("a", "b", "c")]


def routing(*routes: Route, receivers: list[Receiver] = ALL, always: str = "") -> Routing:
    return Routing(receivers, routes, frozenset(always))


def to(names: str, *, go_on: bool = False, **match: Any) -> Route:
    return Route(Match(**match), tuple(names), go_on)


def test_without_routes_everyone_is_told_of_everything(event: Make) -> None:
    assert routing().names(event()) == set("abc")


@pytest.mark.parametrize(
    ("match", "changes", "met"),
    [
        ({}, {}, True),
        ({"severity": at_least("ERROR")}, {"severity": "WARNING"}, False),
        ({"severity": at_least("ERROR")}, {"severity": "CRITICAL"}, True),
        ({"severity": frozenset(["INFO"])}, {"severity": "WARNING"}, False),
        ({"kind": frozenset(["SAG", "OUTAGE"])}, {"kind": "OUTAGE"}, True),
        ({"kind": frozenset(["SAG", "OUTAGE"])}, {"kind": "THD"}, False),
        ({"feeder": ("north-*", "f?")}, {"feeder_id": "north-7"}, True),
        ({"feeder": ("north-*", "f?")}, {"feeder_id": "f7"}, True),
        ({"feeder": ("north-*", "f?")}, {"feeder_id": "North-7"}, False),
        ({"feeder": ("north-*",)}, {"feeder_id": "far-north-7"}, False),
        ({"asset": ("tr-[12]",)}, {"asset_id": "tr-2"}, True),
        ({"asset_type": frozenset(["TRANSFORMER"])}, {"asset_type": "METER"}, False),
        ({"state": frozenset(["OPENED", "CLOSED"])}, {"state": "UPDATED"}, False),
        ({"state": frozenset(["OPENED"]), "kind": frozenset(["SAG"])}, {"state": "OPENED", "kind": "SAG"}, True),
        ({"state": frozenset(["OPENED"]), "kind": frozenset(["SAG"])}, {"state": "OPENED", "kind": "THD"}, False),
    ],
)
def test_every_part_of_a_match_must_hold(event: Make, match: Any, changes: Any, met: bool) -> None:
    assert Match(**match)(event(**changes)) is met


def test_the_first_route_decides_unless_it_goes_on(event: Make) -> None:
    sag = {"kind": frozenset(["SAG"])}
    assert routing(to("a", **sag), to("b")).names(event()) == {"a"}
    assert routing(to("a", go_on=True, **sag), to("b")).names(event()) == {"a", "b"}
    assert routing(to("a", **sag), to("b")).names(event(kind="THD")) == {"b"}
    assert routing(to("a", go_on=True), to("b", kind=frozenset(["THD"])), to("c")).taken(event()) == [0, 2]


def test_where_no_route_leads_nobody_is_told(event: Make) -> None:
    assert routing(to("abc", kind=frozenset(["THD"]))).names(event()) == set()


def test_a_receiver_of_a_variable_needs_no_route(event: Make) -> None:
    assert routing(to("b"), always="c").names(event()) == {"b", "c"}


def test_a_receiver_may_want_less_than_its_route_offers(event: Make) -> None:
    calm = Receiver("b", "http://b.invalid", min_severity="ERROR")
    to_both = routing(to("ab"), receivers=[ALL[0], calm])
    assert to_both.names(event(severity="WARNING")) == {"a"}
    assert to_both.names(event(severity="ERROR")) == {"a", "b"}
    assert to_both.offered(event()) == {"a", "b"}


def test_a_match_says_what_it_is() -> None:
    assert str(Match()) == "everything"
    assert str(Match(severity=at_least("WARNING"), feeder=("a", "b*"))) == "severity WARNING, ERROR, CRITICAL; feeder a, b*"
