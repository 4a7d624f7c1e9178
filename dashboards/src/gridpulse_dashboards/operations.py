"""Operations: what is wrong in the grid now, where, and the way to one meter's readings around it."""

from grafana_foundation_sdk.builders import dashboard, table
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig

from gridpulse_dashboards.parts import (
    FEEDERS,
    bars,
    board,
    choice,
    column,
    feeder_variable,
    flux,
    level_bars,
    number,
    prom,
    rows,
    steps,
)

__all__ = ["SEVERITIES", "SILENT", "anomaly_table", "open_count", "operations"]

SEVERITIES = {"CRITICAL": "red", "ERROR": "orange", "WARNING": "yellow", "INFO": "blue"}
STATES = {"OPENED": "red", "UPDATED": "orange", "CLOSED": "green", "RETRACTED": "gray"}
SILENT = 'r.kind == "SILENT" or r.kind == "OUTAGE" or r.kind == "STORM"'
OPEN = f"""
    from(bucket: v.defaultBucket)
    |> range(start: -${{since}})
    |> filter(fn: (r) => r._measurement == "anomalies" and (r._field == "state" or r._field == "severity") and {FEEDERS})
    |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
    |> filter(fn: (r) => r.state == "OPENED" or r.state == "UPDATED")
"""
METER_LINK = "/d/gridpulse-meter?var-meter=${__data.fields.asset}&from=${__data.fields.from_ms}&to=${__data.fields.to_ms}"
FEEDER_LINK = "/d/gridpulse-power-quality?var-feeder=${__data.fields.feeder}&${__url_time_range}"


def open_count(by: str, which: str = "") -> str:
    """Flux: number of open anomalies, of those for which `which` holds, by a column, the most first."""
    chosen = f"|> filter(fn: (r) => {which})" if which else ""
    return f"""{OPEN}
    {chosen}
    |> group(columns: ["{by}"])
    |> count(column: "state")
    |> group()
    |> rename(columns: {{state: "open"}})
    |> sort(columns: ["open"], desc: true)
    """


def anomaly_query(which: str, most: int) -> str:
    """Flux: anomalies with all fields, the newest first; `from_ms` and `to_ms` are the time around each."""
    return f"""
    from(bucket: v.defaultBucket)
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "anomalies" and {which})
    |> filter(fn: (r) => contains(value: r._field, set: ["severity", "state", "unit", "reason", "asset_type"]) or contains(
    value: r._field, set: ["observed", "expected", "score", "duration_s", "ended_at"]))
    |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
    |> group()
    |> sort(columns: ["_time"], desc: true)
    |> limit(n: {most})
    |> map(fn: (r) => ({{r with from_ms: int(v: r._time) / 1000000 - 300000,
    to_ms: (if exists r.ended_at then r.ended_at else int(v: now()) / 1000000) + 300000}}))
    |> keep(columns: ["_time", "severity", "state", "kind", "feeder", "asset", "asset_type", "observed", "expected", "unit", "score",
    "duration_s", "reason", "rule", "from_ms", "to_ms"])
    """


def anomaly_table(title: str, says: str, which: str, most: int = 100) -> table.Panel:
    """The newest anomalies; asset and feeder are links."""
    panel = rows(title, says, flux(anomaly_query(which, most)), empty="no anomaly in the shown time")
    order = ("_time", "severity", "state", "kind", "feeder", "asset", "observed", "expected", "unit", "duration_s", "reason", "rule",
             "score", "asset_type", "from_ms", "to_ms")  # fmt: skip
    panel.with_transformation(
        DataTransformerConfig(id_val="organize", options={"indexByName": {name: place for place, name in enumerate(order)}})
    )
    column(panel, "_time", title="began", unit="dateTimeAsIso", width=170)
    column(panel, "severity", colors=SEVERITIES, width=90)
    column(panel, "state", colors=STATES, width=90)
    column(panel, "feeder", link=("Power quality of this feeder", FEEDER_LINK))
    column(panel, "asset", link=("Readings around it", METER_LINK))
    column(panel, "observed", decimals=1, width=90)
    column(panel, "expected", decimals=1, width=90)
    column(panel, "unit", width=60)
    column(panel, "duration_s", title="lasted", unit="s", width=80)
    column(panel, "reason", width=420)
    column(panel, "score", unit="percentunit", width=80)
    column(panel, "from_ms", hidden=True)
    column(panel, "to_ms", hidden=True)
    return panel


def feeder_table() -> table.Panel:
    """A row a feeder: what is open there, and how its newest minute looks."""
    newest = f"""
    from(bucket: v.defaultBucket)
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "rollups" and r.window == "1m" and r._field == "mean" and {FEEDERS})
    |> filter(fn: (r) => r.signal == "voltage" or r.signal == "frequency" or r.signal == "active_power" or r.signal == "thd")
    |> last()
    |> group()
    |> pivot(rowKey: ["feeder"], columnKey: ["signal"], valueColumn: "_value")
    """
    panel = rows(
        "Feeders",
        "Open anomalies of each feeder, and the means over its meters in its newest minute. Normal: none open, voltage within 10 % of "
        "nominal. A feeder with many open ones has one cause in common: open its power quality.",
        flux(open_count("feeder")),
        flux(newest, "B"),
        empty="no feeder is heard of in the shown time",
        width=16,
    )
    panel.with_transformation(DataTransformerConfig(id_val="joinByField", options={"byField": "feeder", "mode": "outer"}))
    column(panel, "feeder", link=("Power quality of this feeder", FEEDER_LINK))
    column(panel, "open", title="open anomalies", unit="short")
    column(panel, "voltage", unit="volt", decimals=1)
    column(panel, "frequency", unit="hertz", decimals=2)
    column(panel, "active_power", title="power a meter", unit="watt", decimals=0)
    column(panel, "thd", unit="percent", decimals=1)
    return panel


def operations() -> dashboard.Dashboard:
    """Build the dashboard."""
    began = f"""
    from(bucket: v.defaultBucket)
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "anomalies" and r._field == "revision" and {FEEDERS})
    |> group(columns: ["kind"])
    |> aggregateWindow(every: v.windowPeriod, fn: count, createEmpty: false)
    """
    severity = number(
        "Open, by severity",
        "Open anomalies of each severity. Normal: no CRITICAL (power is gone, or equipment is in danger), few ERROR. CRITICAL: see "
        "the newest anomalies for where, and send a crew.",
        "short",
        flux(open_count("severity")),
        width=8,
        each_row=True,
    )
    return board(
        "operations",
        "Operations",
        "What is wrong in the grid now, and where. A click on an asset shows its readings around the anomaly.",
        [
            feeder_variable(),
            choice("since", "Open since at most", "How far back open anomalies are looked for", ("1d", "7d", "30d"), "7d"),
        ],
        [
            (
                "Now",
                [
                    number(
                        "Open anomalies",
                        "Anomalies that have begun and not ended. Normal: a few in a thousand meters. Many at once: one event in "
                        "the grid (see storms and outages), or rules that are too strict for these meters (docs/quality.md).",
                        "short",
                        flux(f'{OPEN}\n|> group()\n|> count(column: "state")'),
                        limits=steps((None, "green"), (1, "yellow"), (50, "red")),
                    ),
                    severity,
                    number(
                        "Meters without power or silent",
                        "Open outages, storms, interruptions and silent meters. Normal: 0. More: power is gone, or the head-end of "
                        "these meters is.",
                        "short",
                        flux(
                            f'{OPEN}\n|> filter(fn: (r) => {SILENT} or r.kind == "INTERRUPTION")\n'
                            '|> group()\n|> count(column: "state")'
                        ),
                        limits=steps((None, "green"), (1, "red")),
                        width=6,
                    ),
                    number(
                        "Alerts delivered",
                        "Changes of anomalies that receivers took, in the shown time. Normal: follows the anomalies. 0 while "
                        "anomalies open: see the alerter on the Pipeline dashboard, and routes in alerts.toml.",
                        "short",
                        prom('sum(increase(gridpulse_alerter_notifications_total{outcome="delivered"}[$__range]))', "delivered"),
                        width=6,
                    ),
                    level_bars(
                        "Open, by kind",
                        "Which kinds are open. Normal: none or few of each. One kind that stands out tells the cause; kinds are "
                        "explained in docs/architecture.md.",
                        "short",
                        flux(open_count("kind")),
                    ),
                    feeder_table(),
                ],
            ),
            (
                "Over time",
                [
                    bars(
                        "Anomalies that began, by kind",
                        "When anomalies began. Normal: an even, low level. A peak of one kind is an event in the grid; a peak "
                        "right after a rule change is the change (gridpulse-detector replay --shadow compares).",
                        "short",
                        flux(began),
                        called="kind",
                        empty="no anomaly in the shown time",
                    ),
                    bars(
                        "Notifications, by what became of them",
                        "Changes of anomalies a second: delivered, refused, held by a rate, hidden by maintenance, or with no "
                        "receiver. Normal: delivered. refused: gridpulse-redrive list shows why; no_receiver: no route matches.",
                        "cps",
                        prom("sum by (outcome) (rate(gridpulse_alerter_notifications_total[$__rate_interval]))", "{{outcome}}"),
                    ),
                    anomaly_table(
                        "Newest anomalies",
                        "The newest anomalies that began in the shown time, with the reason for the field crew. Normal: few, and most CLOSED. A click on the "
                        "asset shows its readings from five minutes before to five minutes after.",
                        FEEDERS,
                    ),
                ],
            ),
        ],
    )
