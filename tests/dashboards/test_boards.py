"""What can be said of the dashboards without a server: they are what the code builds, complete, and consistent in their units."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from shown.metric_names import exported, named
from shown.panels import FOLDER, GRAFANA, Query, boards, panels, queries

from gridpulse_dashboards.__main__ import built
from gridpulse_schemas import COLUMNS

every_board = pytest.mark.parametrize("name", boards())
every_query = pytest.mark.parametrize("query", queries(), ids=str)

GRAFANA_UNITS = {
    "V": "volt", "A": "amp", "W": "watt", "var": "voltamperereact", "Hz": "hertz", "%": "percent", "°C": "celsius", "Wh": "watth",
}  # fmt: skip
UNITS = {column.name: GRAFANA_UNITS[column.unit] for column in COLUMNS}


def test_the_files_are_what_the_code_builds() -> None:
    files = {path.name: path.read_text() for path in GRAFANA.iterdir()}
    assert files == built(), "run `make dashboards`"


@every_board
def test_grafana_s_own_model_reads_all_of_it(name: str) -> None:
    """What the schema does not know would be lost on the way through it. Flux is known as an object of its data source."""
    register_default_plugins()
    board = boards()[name]
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(json.loads(json.dumps(board)))))
    assert again == board


@every_board
def test_every_panel_says_what_is_normal_what_to_do_and_what_it_measures(name: str) -> None:
    for panel in panels(boards()[name]):
        defaults = panel["fieldConfig"]["defaults"]
        assert "Normal" in panel["description"], panel["title"]
        assert len(panel["description"].split(". ")) >= 3, panel["title"]
        assert defaults["unit"], panel["title"]
        assert defaults["noValue"], panel["title"]


@every_board
def test_panels_have_numbers_and_places_of_their_own(name: str) -> None:
    shown = boards()[name]["panels"]
    numbers = [panel["id"] for panel in shown]
    assert len(set(numbers)) == len(numbers)
    places = [(panel["title"], panel["gridPos"]) for panel in shown]
    for (one, a), (other, b) in combinations(places, 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"] or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart, f"{one} and {other} overlap"
    assert all(place["x"] + place["w"] <= 24 for _, place in places)


@every_board
def test_times_refresh_and_variables(name: str) -> None:
    board = boards()[name]
    assert (board["time"], board["refresh"], board["timezone"]) == ({"from": "now-1h", "to": "now"}, "30s", "browser")
    assert board["uid"] == name
    made = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$\{(\w+)(?::\w+)?\}", json.dumps([list(panels(board)), board["templating"]])))
    assert {one for one in used if not one.startswith("__")} == made
    assert all(variable["label"] and variable["description"] for variable in board["templating"]["list"])


def links(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["url"]] if str(value.get("url", "")).startswith("/d/") else []
        return own + [link for one in value.values() for link in links(one)]
    return [link for one in value for link in links(one)] if isinstance(value, list) else []


def test_links_lead_to_dashboards_and_set_variables_they_have() -> None:
    found = [link for board in boards().values() for link in links(board)]
    assert any("/d/gridpulse-meter?var-meter=${__data.fields.asset}" in link for link in found)
    for link in found:
        uid, _, parameters = link.removeprefix("/d/").partition("?")
        have = {variable["name"] for variable in boards()[uid]["templating"]["list"]}
        assert set(re.findall(r"var-(\w+)=", parameters)) <= have, link


@every_query
def test_a_panel_names_only_metrics_that_exist(query: Query) -> None:
    if not query.is_flux:
        names = named(query.text)
        assert names
        assert names - exported() - {"up", "ALERTS", "process_start_time_seconds"} <= PROCESS


PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}


@every_query
def test_the_unit_is_that_of_what_is_asked(query: Query) -> None:
    allowed = flux_units(query.text) if query.is_flux else promql_units(query.text)
    assert query.unit in allowed


def promql_units(text: str) -> set[str]:
    """Units of an expression, from the suffixes of the names in it and what is done to them."""
    (suffix,) = {suffix_of(name) for name in named(text)}
    rated, shares = "rate(" in text, re.search(r"\) / \(?sum\(|1 - \(", text) is not None
    if shares:
        return {"percentunit"}
    if text.startswith("histogram_quantile"):
        return {"s"} if suffix == "seconds" else set()
    if suffix == "bytes":
        return {"Bps"} if rated else {"bytes"}
    if suffix == "seconds":
        return {"none"} if "cpu" in text else {"short"} if "changes(" in text else {"s"}
    if suffix == "total":
        return {"cps"} if rated else {"short"}
    return {"short", "none"}


def suffix_of(name: str) -> str:
    name = re.sub(r"_(bucket|count|sum)$", "", name)
    for suffix in ("bytes_total", "seconds_total", "bytes", "seconds", "total"):
        if name.endswith(f"_{suffix}"):
            return suffix.removesuffix("_total")
    return "number"


def flux_units(text: str) -> set[str]:
    """Units of a Flux query: of the measurements it names, of counts, or a share of something."""
    if "100.0 *" in text:
        return {"percent"}
    if 'r._measurement == "anomalies"' in text or 'r._field == "count"' in text:
        return {"short", "none"}  # numbers of anomalies or readings; tables of anomalies have units by column
    if "math.sqrt" in text or 'r._field == "status"' in text or "pivot" in text:
        return {"none"}
    named_here = set(re.findall(r'r\.(?:signal|_field) == "(\w+)"', text)) - {"mean", "min", "max"}
    return {UNITS[name] for name in named_here}


def test_flux_units_are_one_a_panel() -> None:
    for query in queries():
        if query.is_flux:
            assert len(flux_units(query.text) - {"none"}) <= 1, query


def test_columns_of_tables_have_the_units_of_their_fields() -> None:
    wanted = {"voltage": "volt", "frequency": "hertz", "active_power": "watt", "thd": "percent", "duration_s": "s"}
    found = {}
    for board in boards().values():
        for panel in panels(board):
            for override in panel["fieldConfig"]["overrides"]:
                name = override["matcher"]["options"]
                for each in override["properties"]:
                    if each["id"] == "unit":
                        found[name] = each["value"]
    assert {name: found[name] for name in wanted} == wanted


def test_provisioning_points_at_the_dashboards_data_sources() -> None:
    text = (FOLDER / "provisioning/datasources/gridpulse.yaml").read_text()
    defaults = {
        variable["current"]["value"]
        for board in boards().values()
        for variable in board["templating"]["list"]
        if variable["type"] == "datasource"
    }
    assert defaults == set(re.findall(r"uid: (\S+)", text)) == {"gridpulse-prometheus", "gridpulse-influxdb"}
