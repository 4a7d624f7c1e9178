"""Power quality: voltage bands, frequency, unbalance, by feeder and time."""

from grafana_foundation_sdk.builders import dashboard

from gridpulse_dashboards.parts import (
    FEEDERS,
    bars,
    board,
    bounds,
    feeder_variable,
    flux,
    lines,
    rows,
    states,
    steps,
    text_variable,
)

__all__ = ["power_quality"]

PERCENT = "|> map(fn: (r) => ({r with _value: 100.0 * r._value / float(v: ${nominal})}))"
KINDS = (
    "SAG",
    "SWELL",
    "INTERRUPTION",
    "UNDERVOLTAGE",
    "OVERVOLTAGE",
    "THD",
    "UNBALANCE",
    "LOW_POWER_FACTOR",
    "FREQUENCY",
    "ROCOF",
)


def rollup(signal: str, field: str, fn: str, change: str = "") -> str:
    """Flux: a statistic of a signal over the meters of each feeder."""
    return f"""
    from(bucket: v.defaultBucket)
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "rollups" and r.window == "1m" and r.signal == "{signal}" and r._field == "{field}")
    |> filter(fn: (r) => {FEEDERS})
    |> aggregateWindow(every: v.windowPeriod, fn: {fn}, createEmpty: false)
    {change}
    |> group(columns: ["feeder"])
    |> keep(columns: ["_time", "_value", "feeder"])
    """


def farthest() -> str:
    """Flux: of the lowest and the highest voltage of a minute the one farther from nominal, in %."""
    return f"""
    from(bucket: v.defaultBucket)
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "rollups" and r.window == "1m" and r.signal == "voltage" and {FEEDERS})
    |> filter(fn: (r) => r._field == "min" or r._field == "max")
    |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
    |> map(fn: (r) => ({{_time: r._time, feeder: r.feeder, low: 100.0 * r.min / float(v: ${{nominal}}),
    high: 100.0 * r.max / float(v: ${{nominal}})}}))
    |> map(fn: (r) => ({{_time: r._time, feeder: r.feeder, _value: if 100.0 - r.low > r.high - 100.0 then r.low else r.high}}))
    |> group(columns: ["feeder"])
    """


def unbalance() -> str:
    """Flux: largest deviation of a phase from the mean of the three, % of the mean; the highest of a feeder's meters."""
    return f"""
    import "math"
    from(bucket: v.defaultBucket)
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "readings" and (r._field == "voltage" or r._field == "voltage_b" or r._field == "voltage_c"))
    |> filter(fn: (r) => {FEEDERS})
    |> aggregateWindow(every: v.windowPeriod, fn: mean, createEmpty: false)
    |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
    |> filter(fn: (r) => exists r.voltage and exists r.voltage_b and exists r.voltage_c)
    |> map(fn: (r) => ({{r with mean: (r.voltage + r.voltage_b + r.voltage_c) / 3.0}}))
    |> filter(fn: (r) => r.mean > 0.0)
    |> map(fn: (r) => ({{_time: r._time, feeder: r.feeder, _value: 100.0 * math.mMax(x: math.abs(x: r.voltage - r.mean),
    y: math.mMax(x: math.abs(x: r.voltage_b - r.mean), y: math.abs(x: r.voltage_c - r.mean))) / r.mean}}))
    |> group(columns: ["feeder"])
    |> aggregateWindow(every: v.windowPeriod, fn: max, createEmpty: false)
    """


def power_factor() -> str:
    """Flux: |P| / S of the means of a feeder."""
    return f"""
    import "math"
    from(bucket: v.defaultBucket)
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "rollups" and r.window == "1m" and r._field == "mean" and {FEEDERS})
    |> filter(fn: (r) => r.signal == "active_power" or r.signal == "reactive_power")
    |> aggregateWindow(every: v.windowPeriod, fn: mean, createEmpty: false)
    |> pivot(rowKey: ["_time", "feeder"], columnKey: ["signal"], valueColumn: "_value")
    |> map(fn: (r) => ({{r with s: math.sqrt(x: r.active_power * r.active_power + r.reactive_power * r.reactive_power)}}))
    |> filter(fn: (r) => r.s > 0.0)
    |> map(fn: (r) => ({{_time: r._time, feeder: r.feeder, _value: math.abs(x: r.active_power) / r.s}}))
    |> group(columns: ["feeder"])
    """


def power_quality() -> dashboard.Dashboard:
    """Build the dashboard."""
    bands = steps((None, "dark-red"), (10, "orange"), (90, "green"), (110, "purple"))
    chosen = ", ".join(f'"{kind}"' for kind in KINDS)
    of_kinds = f"""
    from(bucket: v.defaultBucket)
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "anomalies" and r._field == "revision" and {FEEDERS})
    |> filter(fn: (r) => contains(value: r.kind, set: [{chosen}]))
    """
    return board(
        "power-quality",
        "Power quality",
        "Voltage, frequency, unbalance, distortion of each feeder over time, against the limits of EN 50160 and IEEE 1159.",
        [feeder_variable(), text_variable("nominal", "Nominal voltage", "Nominal voltage line to neutral, V", "230")],
        [
            (
                "Voltage",
                [
                    states(
                        "Voltage bands",
                        "Of the lowest and the highest voltage on a feeder in a minute the one farther from nominal. Normal: green, 90 "
                        "to 110 %. Orange: sag or undervoltage somewhere on the feeder; dark red: interruption; purple: swell or "
                        "overvoltage. The table below counts the anomalies.",
                        "percent",
                        flux(farthest()),
                        called="feeder",
                        limits=bands,
                    ),
                    lines(
                        "Mean voltage, % of nominal",
                        "Mean over the meters of a feeder. Normal: 95 to 105 %. A feeder that drifts to an end of the band: tap "
                        "changer or reactive power; one that moves with the sun: generation.",
                        "percent",
                        flux(rollup("voltage", "mean", "mean", PERCENT)),
                        called="feeder",
                        limits=bounds(90, 110),
                        width=8,
                    ),
                    lines(
                        "Lowest voltage, % of nominal",
                        "The lowest of any meter of the feeder. Normal: above 90 %. Below for a minute and more: undervoltage; see "
                        "which meters on the Operations dashboard.",
                        "percent",
                        flux(rollup("voltage", "min", "min", PERCENT)),
                        called="feeder",
                        limits=bounds(90, None),
                        width=8,
                    ),
                    lines(
                        "Highest voltage, % of nominal",
                        "The highest of any meter of the feeder. Normal: below 110 %. Above: overvoltage, devices are in danger; a "
                        "broken neutral raises some meters while it lowers others.",
                        "percent",
                        flux(rollup("voltage", "max", "max", PERCENT)),
                        called="feeder",
                        limits=bounds(None, 110),
                        width=8,
                    ),
                ],
            ),
            (
                "Frequency and waveform",
                [
                    lines(
                        "Frequency",
                        "Mean over the meters of a feeder. Normal: 49.5 to 50.5 Hz (of a 50 Hz grid), the same on all feeders. A "
                        "feeder apart from the others runs as an island.",
                        "hertz",
                        flux(rollup("frequency", "mean", "mean")),
                        called="feeder",
                        limits=bounds(49.5, 50.5),
                    ),
                    lines(
                        "Voltage unbalance",
                        "Of three-phase meters the largest deviation of a phase from the mean, in % of the mean; the highest of a "
                        "feeder. Normal: below 2 % (EN 50160). Above: loads on one phase, or a broken conductor. Uses readings, which "
                        "are kept around anomalies unless GRIDPULSE_INFLUX_READINGS=all.",
                        "percent",
                        flux(unbalance()),
                        called="feeder",
                        limits=steps((None, "green"), (2, "red")),
                        empty="no readings of three-phase meters in the shown time",
                    ),
                    lines(
                        "Highest distortion (THD)",
                        "The highest of any meter of the feeder. Normal: below 8 % (EN 50160). Above: a load with power electronics.",
                        "percent",
                        flux(rollup("thd", "max", "max")),
                        called="feeder",
                        limits=steps((None, "green"), (8, "red")),
                        width=8,
                    ),
                    lines(
                        "Power factor",
                        "|P| / S of the means over a feeder. Normal: above 0.9. Below: reactive power is carried that a capacitor "
                        "near the load would save.",
                        "none",
                        flux(power_factor()),
                        called="feeder",
                        limits=bounds(0.9, None),
                        width=8,
                    ),
                    lines(
                        "Power a meter",
                        "Mean active power of a feeder's meters (+ import, − export). Normal: the daily pattern. Export at noon: "
                        "generation; nothing at all: an outage, or meters that are silent.",
                        "watt",
                        flux(rollup("active_power", "mean", "mean")),
                        called="feeder",
                        width=8,
                    ),
                ],
            ),
            (
                "Anomalies of power quality",
                [
                    bars(
                        "Began, by kind",
                        "When anomalies of power quality began. Normal: few. Many at once on several feeders: the cause is above "
                        "them, in the substation or the transmission grid.",
                        "short",
                        flux(
                            f'{of_kinds}\n|> group(columns: ["kind"])\n'
                            "|> aggregateWindow(every: v.windowPeriod, fn: count, createEmpty: false)"
                        ),
                        empty="no anomaly of power quality in the shown time",
                        called="kind",
                    ),
                    rows(
                        "By feeder and kind",
                        "How many began in the shown time. Normal: none or few. The feeder with the most is the one to look at first.",
                        flux(
                            f'{of_kinds}\n|> group(columns: ["feeder", "kind"])\n|> count()\n|> group()\n'
                            '|> rename(columns: {_value: "anomalies"})\n|> sort(columns: ["anomalies"], desc: true)'
                        ),
                        empty="no anomaly of power quality in the shown time",
                        width=12,
                        height=8,
                        unit="short",
                    ),
                ],
            ),
        ],
        sources=("influxdb",),
    )
