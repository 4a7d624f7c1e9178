"""Data quality: what is missing, late or rejected."""

from grafana_foundation_sdk.builders import dashboard

from gridpulse_dashboards.operations import SILENT, open_count
from gridpulse_dashboards.parts import FEEDERS, bars, board, choice, feeder_variable, flux, lines, number, prom, rows, steps

__all__ = ["data_quality"]

REJECTED = "sum(rate(gridpulse_ingest_dead_letters_total[$__rate_interval]))"
TAKEN = "sum(rate(gridpulse_ingest_readings_total[$__rate_interval]))"
OUTCOMES = "sum by (outcome) (rate(gridpulse_detector_readings_total[$__rate_interval]))"


def counts(which: str) -> str:
    """Flux: readings a minute."""
    return f"""
    from(bucket: v.defaultBucket)
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "rollups" and r.window == "1m" and r._field == "count" and {FEEDERS}{which})
    """


def completeness() -> str:
    """Flux: readings of a minute against the most in any minute of the shown time, by feeder, %."""
    return f"""
    counts = {counts(' and r.signal == "voltage"').strip()}
    |> group(columns: ["feeder"])
    most = counts |> max() |> keep(columns: ["feeder", "_value"])
    join(tables: {{now: counts, most: most}}, on: ["feeder"])
    |> map(fn: (r) => ({{_time: r._time, feeder: r.feeder, _value: 100.0 * float(v: r._value_now) / float(v: r._value_most)}}))
    |> group(columns: ["feeder"])
    |> aggregateWindow(every: v.windowPeriod, fn: mean, createEmpty: false)
    """


def missing_values() -> str:
    """Flux: of the readings of a window those without a value, by signal, % of the signal that has most."""
    return f"""
    counts = {counts("").strip()}
    |> group(columns: ["signal"])
    |> aggregateWindow(every: v.windowPeriod, fn: sum, createEmpty: false)
    most = counts |> group(columns: ["_time"]) |> max() |> keep(columns: ["_time", "_value"])
    join(tables: {{one: counts |> group(), most: most |> group()}}, on: ["_time"])
    |> map(fn: (r) => ({{_time: r._time, signal: r.signal,
    _value: 100.0 * (1.0 - float(v: r._value_one) / float(v: r._value_most))}}))
    |> group(columns: ["signal"])
    """


def data_quality() -> dashboard.Dashboard:
    """Build the dashboard."""
    return board(
        "data-quality",
        "Data quality",
        "Readings that are missing, late, or rejected, and what the rules cannot judge for want of history.",
        [
            feeder_variable(),
            choice("since", "Silent since at most", "How far back silence is looked for", ("1d", "7d", "30d"), "7d"),
        ],
        [
            (
                "Missing",
                [
                    lines(
                        "Readings a minute, by feeder",
                        "Readings in each minute of event time. Normal: meters of the feeder times readings a minute, and even. A "
                        "step down: meters or their head-end are gone; zero: the feeder is silent.",
                        "short",
                        flux(
                            counts(' and r.signal == "voltage"')
                            + '|> group(columns: ["feeder"])\n'
                            + "|> aggregateWindow(every: v.windowPeriod, fn: mean, createEmpty: false)"
                        ),
                        called="feeder",
                        width=8,
                        low=0,
                    ),
                    lines(
                        "Completeness, by feeder",
                        "Readings of a minute, in % of the most in any minute of the shown time. Normal: 99 % and more. Lower: "
                        "readings get lost on the way to Kafka; look at the head-end and its radio network.",
                        "percent",
                        flux(completeness()),
                        called="feeder",
                        limits=steps((None, "red"), (95, "yellow"), (99, "green")),
                        width=8,
                        low=0,
                    ),
                    lines(
                        "Missing values, by signal",
                        "Readings without a value of this signal, in % of the signal that has the most. Normal: 0, or a constant "
                        "share where some meters do not measure it. A rise: a firmware or a head-end stopped sending it.",
                        "percent",
                        flux(missing_values()),
                        called="signal",
                        width=8,
                        low=0,
                    ),
                    rows(
                        "Silent now, by feeder",
                        "Open anomalies of silence and outage. Normal: none. Many on one feeder: an outage, or the head-end.",
                        flux(open_count("feeder", SILENT)),
                        empty="none is silent",
                        width=8,
                        height=8,
                        unit="short",
                    ),
                    lines(
                        "Heartbeats for quiet feeders",
                        "Heartbeats that ingest sends for feeders gone quiet, a second. Normal: 0, or steady where meters report "
                        "seldom. A rise: feeders have stopped reporting.",
                        "cps",
                        prom("sum(rate(gridpulse_ingest_heartbeats_total[$__rate_interval]))", "heartbeats"),
                        width=8,
                        low=0,
                    ),
                    lines(
                        "Assets that rules cannot judge yet",
                        "Assets whose history is too short for the rule. Normal: falls to 0 within the rule's learning time (days for "
                        "seasonal). Does not fall: these meters report too seldom.",
                        "short",
                        prom("sum by (rule) (gridpulse_detector_learning_assets)", "{{rule}}"),
                        empty="told once an hour of event time is over",
                        width=8,
                        low=0,
                    ),
                ],
            ),
            (
                "Late, repeated, ahead",
                [
                    lines(
                        "Readings, by what became of them",
                        "Readings a second that the detector judged, found late, repeated or ahead of their feeder, or dropped as "
                        "taken before. Normal: judged, and little else. dropped rises for a moment after a restart.",
                        "cps",
                        prom(OUTCOMES, "{{outcome}}"),
                        low=0,
                    ),
                    lines(
                        "Share of late readings",
                        "Readings later than the grace (grace_s in rules.toml): archived, not judged. Normal: below 1 %. More: a "
                        "head-end sends in blocks: raise grace_s, or have it send sooner.",
                        "percentunit",
                        prom(
                            'sum(rate(gridpulse_detector_readings_total{outcome="late"}[$__rate_interval])) / '
                            "sum(rate(gridpulse_detector_readings_total[$__rate_interval]))",
                            "late",
                        ),
                        limits=steps((None, "green"), (0.01, "yellow"), (0.05, "red")),
                        width=6,
                        low=0,
                    ),
                    lines(
                        "Share of clocks ahead",
                        "Readings of clocks that run ahead of their feeder: not judged until another meter agrees. Normal: 0. More: "
                        "set the clocks of these meters.",
                        "percentunit",
                        prom(
                            'sum(rate(gridpulse_detector_readings_total{outcome="ahead"}[$__rate_interval])) / '
                            "sum(rate(gridpulse_detector_readings_total[$__rate_interval]))",
                            "ahead",
                        ),
                        limits=steps((None, "green"), (0.001, "yellow"), (0.01, "red")),
                        width=6,
                        low=0,
                    ),
                ],
            ),
            (
                "Rejected",
                [
                    number(
                        "Share rejected",
                        "Messages and readings that went to meter.readings.dlq, of all. Normal: 0. Above 1 %: a head-end sends "
                        "what cannot be read or cannot be true; the reason is beside.",
                        "percentunit",
                        prom(f"{REJECTED} / ({REJECTED} + {TAKEN})", "rejected"),
                        limits=steps((None, "green"), (0.001, "yellow"), (0.01, "red")),
                    ),
                    bars(
                        "Rejected by ingest, by reason",
                        "Dead letters a second of meter.readings. Normal: none. The reasons are in docs/data-model.md; "
                        "gridpulse-redrive show prints the letters, and sends them again once mended.",
                        "cps",
                        prom("sum by (reason) (rate(gridpulse_ingest_dead_letters_total[$__rate_interval]))", "{{reason}}"),
                        empty="none",
                        width=10,
                    ),
                    bars(
                        "Given up on by sinks, by reason",
                        "Dead letters a second of influx-sink, archiver and alerter. Normal: none. refused: the destination will not "
                        "have it; gridpulse-redrive list tells why.",
                        "cps",
                        prom(
                            "sum by (reason) (rate(gridpulse_influx_sink_dead_letters_total[$__rate_interval]))",
                            "influx-sink {{reason}}",
                        ),
                        prom(
                            "sum by (reason) (rate(gridpulse_archiver_dead_letters_total[$__rate_interval]))",
                            "archiver {{reason}}",
                            "B",
                        ),
                        prom(
                            "sum by (reason) (rate(gridpulse_alerter_dead_letters_total[$__rate_interval]))",
                            "alerter {{reason}}",
                            "C",
                        ),
                        empty="none",
                        width=10,
                    ),
                    number(
                        "Points too old for the bucket",
                        "Points older than the bucket keeps, in the shown time. Normal: 0. More: history is sent that InfluxDB will "
                        "not keep (GRIDPULSE_INFLUX_RETENTION); the archive has it.",
                        "short",
                        prom("sum(increase(gridpulse_influx_sink_expired_points_total[$__range]))", "expired"),
                        limits=steps((None, "green"), (1, "yellow")),
                    ),
                    number(
                        "Unreadable between apps",
                        "Messages on meter.readings.valid that are no batch, in the shown time. Normal: 0, only ingest writes there. "
                        "More: something else writes to that topic; find it by the broker's log.",
                        "short",
                        prom("sum(increase(gridpulse_detector_unreadable_total[$__range]))", "unreadable"),
                        limits=steps((None, "green"), (1, "red")),
                    ),
                ],
            ),
        ],
    )
