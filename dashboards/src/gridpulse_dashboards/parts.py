"""What all dashboards are made of: data sources, variables, queries, panels with unit, description and no-data text."""

from collections.abc import Sequence
from itertools import count
from typing import Any, Protocol, Self, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

__all__ = [
    "FEEDERS",
    "INFLUX",
    "PROMETHEUS",
    "Flux",
    "bars",
    "board",
    "bounds",
    "choice",
    "column",
    "feeder_variable",
    "flux",
    "flux_variable",
    "level_bars",
    "lines",
    "number",
    "prom",
    "rows",
    "states",
    "steps",
    "text_variable",
]

PROMETHEUS = kinds.DataSourceRef(type_val="prometheus", uid="${prometheus}")
INFLUX = kinds.DataSourceRef(type_val="influxdb", uid="${influxdb}")
FEEDERS = "r.feeder =~ /^${feeder:regex}$/"
"""Flux: the feeders that are chosen above the panels."""
UID = {
    "operations": "gridpulse-operations",
    "pipeline": "gridpulse-pipeline",
    "power-quality": "gridpulse-power-quality",
    "data-quality": "gridpulse-data-quality",
    "meter": "gridpulse-meter",
}
HEIGHT = 8
GREEN, YELLOW, ORANGE, RED = "green", "yellow", "orange", "red"


class Flux(Dataquery):
    """A query of the InfluxDB data source in Flux, for which the SDK has no class."""

    def __init__(self, ref_id: str, query: str) -> None:
        self._payload = {"refId": ref_id, "datasource": INFLUX, "query": query}

    def build(self) -> Self:
        """As the SDK's builders."""
        return self

    def to_json(self) -> dict[str, object]:
        """As the SDK's encoder asks for it."""
        return dict(self._payload)


class Panel(Protocol):
    """What is used of the SDK's panel builders, which share no base."""

    def build(self) -> models.Panel:
        """Make the panel."""


Made = TypeVar("Made", bound=Any)


def flux(query: str, ref: str = "A") -> Flux:
    """Flux over the default bucket of the data source; blank lines and indentation are taken off."""
    lines_of = [line.strip() for line in query.strip().splitlines()]
    return Flux(ref, "\n".join(f"  {line}" if line.startswith("|>") else line for line in lines_of if line))


def prom(expr: str, legend: str = "", ref: str = "A", *, now: bool = False) -> prometheus.Dataquery:
    """PromQL over the shown time; `now`: only the newest values, as a table."""
    query = prometheus.Dataquery().ref_id(ref).expr(expr).legend_format(legend or "__auto").datasource(PROMETHEUS)
    return query.instant().format(PromQueryFormat.TABLE) if now else query.range()


def steps(*limits: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    """Colours from a value on; the first is (None, colour)."""
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=color) for value, color in limits])
    )


def bounds(low: float | None, high: float | None, bad: str = RED) -> dashboard.ThresholdsConfig:
    """Normal between `low` and `high`, `bad` outside."""
    if low is None:
        return steps((None, GREEN), (high, bad))
    if high is None:
        return steps((None, bad), (low, GREEN))
    return steps((None, bad), (low, GREEN), (high, bad))


def _dress(panel: Made, title: str, says: str, unit: str, queries: Sequence[Any], empty: str, width: int, height: int) -> Made:
    source = INFLUX if isinstance(queries[0], Flux) else PROMETHEUS
    panel.title(title).description(says).unit(unit).no_value(empty).datasource(source).span(width).height(height)
    for query in queries:
        panel.with_target(query)
    return panel


def lines(
    title: str,
    says: str,
    unit: str,
    *queries: Any,
    limits: dashboard.ThresholdsConfig | None = None,
    empty: str = "nothing in the shown time",
    width: int = 12,
    low: float | None = None,
    called: str = "",
) -> timeseries.Panel:
    """Lines over time; `limits` are drawn as lines. `called`: the column of a Flux query that the lines are called by."""
    panel = _dress(timeseries.Panel(), title, says, unit, queries, empty, width, HEIGHT)
    panel.fill_opacity(8).line_width(1).show_points(kinds.VisibilityMode.AUTO)
    panel.legend(common.VizLegendOptions().display_mode(kinds.LegendDisplayMode.LIST).placement(kinds.LegendPlacement.BOTTOM))
    panel.tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
    if limits is not None:
        panel.thresholds(limits)
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED))
    if low is not None:
        panel.min(low)
    if called:
        panel.display_name(f"${{__field.labels.{called}}}")
    return panel


def bars(
    title: str,
    says: str,
    unit: str,
    *queries: Any,
    empty: str = "nothing in the shown time",
    width: int = 12,
    called: str = "",
) -> timeseries.Panel:
    """Stacked bars over time."""
    panel = lines(title, says, unit, *queries, empty=empty, width=width, low=0, called=called)
    panel.draw_style(kinds.GraphDrawStyle.BARS).fill_opacity(70)
    return panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL))


def _newest() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False)


def number(
    title: str,
    says: str,
    unit: str,
    *queries: Any,
    limits: dashboard.ThresholdsConfig | None = None,
    empty: str = "0",
    width: int = 4,
    each_row: bool = False,
) -> stat.Panel:
    """The newest value, large. `each_row`: the query gives a table with one number a row."""
    panel = _dress(stat.Panel(), title, says, unit, queries, empty, width, 5)
    reduce = _newest().values(values=True) if each_row else _newest()
    panel.reduce_options(reduce).color_mode(kinds.BigValueColorMode.VALUE).graph_mode(kinds.BigValueGraphMode.NONE)
    return panel.thresholds(limits or steps((None, "text")))


def level_bars(title: str, says: str, unit: str, *queries: Any, empty: str = "none", width: int = 8) -> bargauge.Panel:
    """One bar a row of a table."""
    panel = _dress(bargauge.Panel(), title, says, unit, queries, empty, width, HEIGHT)
    panel.reduce_options(_newest().values(values=True)).orientation(kinds.VizOrientation.HORIZONTAL)
    panel.display_mode(kinds.BarGaugeDisplayMode.BASIC)
    return panel.thresholds(steps((None, "blue"))).min(0)


def states(
    title: str,
    says: str,
    unit: str,
    *queries: Any,
    limits: dashboard.ThresholdsConfig,
    empty: str = "nothing in the shown time",
    width: int = 24,
    called: str = "",
) -> statetimeline.Panel:
    """A row a series, coloured by its value."""
    panel = _dress(statetimeline.Panel(), title, says, unit, queries, empty, width, HEIGHT)
    if called:
        panel.display_name(f"${{__field.labels.{called}}}")
    panel.thresholds(limits).color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
    return panel.show_value(kinds.VisibilityMode.NEVER).merge_values(merge_values=True).row_height(0.8)


def rows(
    title: str,
    says: str,
    *queries: Any,
    empty: str = "nothing in the shown time",
    width: int = 24,
    height: int = 10,
    unit: str = "none",
) -> table.Panel:
    """A table; columns get their units by `column`."""
    return _dress(table.Panel(), title, says, unit, queries, empty, width, height)


def column(panel: table.Panel, name: str, **properties: Any) -> None:
    """Set properties of a column: title, unit, width, hidden, link (title and address), colors (by value)."""
    found: list[models.DynamicConfigValue] = []
    if "title" in properties:
        found.append(models.DynamicConfigValue("displayName", properties["title"]))
    if "unit" in properties:
        found.append(models.DynamicConfigValue("unit", properties["unit"]))
    if "decimals" in properties:
        found.append(models.DynamicConfigValue("decimals", properties["decimals"]))
    if "width" in properties:
        found.append(models.DynamicConfigValue("custom.width", properties["width"]))
    if properties.get("hidden"):
        found.append(models.DynamicConfigValue("custom.hidden", value=True))
    if "link" in properties:
        title, url = properties["link"]
        found.append(models.DynamicConfigValue("links", [{"title": title, "url": url, "targetBlank": False}]))
    if "colors" in properties:
        options = {value: {"color": color, "index": i} for i, (value, color) in enumerate(properties["colors"].items())}
        found.append(models.DynamicConfigValue("mappings", [{"type": "value", "options": options}]))
        found.append(models.DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    panel.override_by_name(name, found)


def _source_variable(name: str, label: str, default: str) -> dashboard.DatasourceVariable:
    return (
        dashboard.DatasourceVariable(name)
        .label(label)
        .description(f"Which {label} to ask")
        .type(name)
        .current(models.VariableOption(selected=True, text=default, value=default))
    )


def flux_variable(name: str, label: str, says: str, query: str, *, several: bool) -> dashboard.QueryVariable:
    """Values by Flux; `several`: more than one may be chosen, and all are at first."""
    variable = (
        dashboard.QueryVariable(name)
        .label(label)
        .description(says)
        .query(str(flux(query).to_json()["query"]))
        .datasource(INFLUX)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )
    if several:
        everything = models.VariableOption(selected=True, text=["All"], value=["$__all"])
        variable.multi(multi=True).include_all(include_all=True).all_value(".*").current(everything)
    return variable


def feeder_variable() -> dashboard.QueryVariable:
    """The feeders that are heard of in the shown time."""
    return flux_variable(
        "feeder",
        "Feeder",
        "Feeders with rollups in the shown time",
        """
        import "influxdata/influxdb/schema"
        schema.tagValues(bucket: v.defaultBucket, tag: "feeder", predicate: (r) => r._measurement == "rollups",
        start: v.timeRangeStart, stop: v.timeRangeStop)
        """,
        several=True,
    )


def choice(name: str, label: str, says: str, values: Sequence[str], default: str) -> dashboard.CustomVariable:
    """One of a few values."""
    options = [models.VariableOption(selected=value == default, text=value, value=value) for value in values]
    current = models.VariableOption(selected=True, text=default, value=default)
    return (
        dashboard.CustomVariable(name).label(label).description(says).values(",".join(values)).options(options).current(current)
    )


def text_variable(name: str, label: str, says: str, default: str) -> dashboard.TextBoxVariable:
    """A value to type."""
    current = models.VariableOption(selected=True, text=default, value=default)
    return dashboard.TextBoxVariable(name).label(label).description(says).default_value(default).current(current)


def board(
    name: str,
    title: str,
    says: str,
    variables: Sequence[Builder[models.VariableModel]],
    parts: Sequence[tuple[str, Sequence[Panel]]],
    *,
    sources: Sequence[str] = ("prometheus", "influxdb"),
) -> dashboard.Dashboard:
    """A dashboard of rows with panels, linked to the others; the last hour, in the reader's own time zone, anew every 30 s."""
    made = (
        dashboard.Dashboard(f"GridPulse / {title}")
        .uid(UID[name])
        .description(says)
        .tags(["gridpulse"])
        .timezone("browser")
        .time("now-1h", "now")
        .refresh("30s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .link(
            dashboard.DashboardLink("GridPulse")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["gridpulse"])
            .as_dropdown(as_dropdown=True)
            .keep_time(keep_time=True)
        )
    )
    if "prometheus" in sources:
        made.with_variable(_source_variable("prometheus", "Prometheus", "gridpulse-prometheus"))
    if "influxdb" in sources:
        made.with_variable(_source_variable("influxdb", "InfluxDB", "gridpulse-influxdb"))
    for variable in variables:
        made.with_variable(variable)
    numbers = count(1)
    for heading, panels in parts:
        made.with_row(dashboard.Row(heading).id(next(numbers)))
        for panel in panels:
            made.with_panel(panel.id(next(numbers)))  # type: ignore[attr-defined]
    return made
