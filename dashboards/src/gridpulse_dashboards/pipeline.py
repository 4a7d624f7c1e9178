"""Pipeline: does GridPulse itself keep up: rate, lag, latency against the objective, errors, checkpoints, state."""

from grafana_foundation_sdk.builders import dashboard, prometheus

from gridpulse_dashboards.parts import bars, board, lines, number, prom, rows, states, steps

__all__ = ["APPS", "pipeline"]

APPS = {
    "ingest": "ingest",
    "detector": "detector",
    "influx-sink": "influx_sink",
    "influx-sink readings": "influx_sink_readings",
    "archiver": "archiver",
    "alerter": "alerter",
}
"""What each is called, and what the names of its metrics begin with after `gridpulse_`."""
PROCESSES = {name: metric for name, metric in APPS.items() if metric != "influx_sink_readings"}
HOPS = {"ingest": "ingest", "detector": "detector", "influx-sink": "influx_sink", "alerter": "alerter"}
JOB = 'job=~".*gridpulse.*"'
RATE = "$__rate_interval"


def each(expr: str, legend: str = "{app}", apps: dict[str, str] = APPS) -> list[prometheus.Dataquery]:
    """One query an app: APP in `expr` is what its metrics begin with, `{app}` in `legend` its name."""
    refs = "ABCDEFGHIJKL"
    return [
        prom(expr.replace("APP", metric), legend.replace("{app}", name), ref)
        for ref, (name, metric) in zip(refs, apps.items(), strict=False)
    ]


def quantile(share: float, metric: str, by: str = "le") -> str:
    """PromQL: a quantile of a histogram."""
    return f"histogram_quantile({share}, sum by ({by}) (rate({metric}_bucket[{RATE}])))"


def latency(share: float, says: str) -> dashboard.Panel:
    """Latency of each hop."""
    name = {0.5: "p50", 0.99: "p99"}[share]
    return lines(  # type: ignore[return-value]
        f"Latency {name}",
        says,
        "s",
        *each(quantile(share, "gridpulse_APP_latency_seconds"), apps=HOPS),
        limits=steps((None, "green"), (0.1, "red")),
        empty="nothing was read",
        low=0,
    )


def pipeline() -> dashboard.Dashboard:
    """Build the dashboard."""
    alerts = rows(
        "Alerts of the pipeline",
        "Prometheus alerts that are pending or firing. Normal: none. Each has a section in docs/operations.md, under its own name.",
        prom('sum by (alertname, severity, alertstate) (ALERTS{alertname=~"GridPulse.*"})', now=True),
        empty="none",
        width=10,
        height=5,
    )
    met = (
        f'sum(rate(gridpulse_detector_latency_seconds_bucket{{le="0.1"}}[{RATE}])) / '
        f"sum(rate(gridpulse_detector_latency_seconds_count[{RATE}]))"
    )
    return board(
        "pipeline",
        "Pipeline",
        "Whether GridPulse keeps up: what goes through, what waits, how long it takes, and what fails.",
        [],
        [
            (
                "Now",
                [
                    number(
                        "Processes up",
                        "Replicas that answer Prometheus. Normal: as many as were started. Fewer: see the log of the one that is "
                        "gone; it goes on from its checkpoint once it is back.",
                        "short",
                        prom(f"sum(up{{{JOB}}})", "up"),
                        limits=steps((None, "red"), (1, "green")),
                        empty="no target: is Prometheus scraping the apps?",
                    ),
                    number(
                        "Readings a second",
                        "Readings that ingest forwards. Normal: meters divided by their interval. 0: nothing is sent, or ingest is "
                        "not up.",
                        "cps",
                        prom(f"sum(rate(gridpulse_ingest_readings_total[{RATE}]))", "readings"),
                    ),
                    number(
                        "Judged within 100 ms",
                        "Share of batches judged within 100 ms of being sent. Normal: above 99 %, the objective. Lower: see latency and lag below; a "
                        "sender whose clock is wrong spoils it too.",
                        "percentunit",
                        prom(met, "within 100 ms"),
                        limits=steps((None, "red"), (0.95, "yellow"), (0.99, "green")),
                        empty="nothing was read",
                        width=6,
                    ),
                    alerts,
                ],
            ),
            (
                "Flow",
                [
                    lines(
                        "Messages a second",
                        "Messages each app takes. Normal: even, and the same in ingest, detector and archiver where senders send "
                        "batches. An app at 0 while others are not: it waits; see readiness.",
                        "cps",
                        *each(f"sum(rate(gridpulse_APP_messages_total[{RATE}]))"),
                        width=8,
                        low=0,
                    ),
                    lines(
                        "Lag",
                        "Messages not yet read, of each app. Normal: near 0, a moment's worth. Grows steadily: the app is too slow "
                        "(add replicas, up to the partitions) or waits for its destination.",
                        "short",
                        *each("sum(gridpulse_APP_consumer_lag_messages)"),
                        width=8,
                        low=0,
                    ),
                    lines(
                        "Written",
                        "Points to InfluxDB, rows to the archive, notifications to receivers, a second. Normal: follows "
                        "what is read. Falls to 0 while messages come: the destination is down, or nothing is found.",
                        "cps",
                        prom(
                            f"sum by (measurement) (rate(gridpulse_influx_sink_points_total[{RATE}]))", "points {{measurement}}"
                        ),
                        prom(f"sum by (kind) (rate(gridpulse_archiver_rows_total[{RATE}]))", "archived {{kind}}", "B"),
                        prom(
                            f'sum(rate(gridpulse_alerter_notifications_total{{outcome="delivered"}}[{RATE}]))',
                            "notifications",
                            "C",
                        ),
                        width=8,
                        low=0,
                    ),
                ],
            ),
            (
                "Latency",
                [
                    latency(
                        0.5,
                        "Half of all batches take less. ingest and detector: since the batch was sent; influx-sink and alerter: "
                        "since the anomaly was found. Normal: 10 to 30 ms, influx-sink about 100 ms. Rises with lag.",
                    ),
                    latency(
                        0.99,
                        "One in a hundred takes longer. Normal: below 100 ms in the detector, the objective (the dashed line). Above: lag, a busy "
                        "machine, or a sender with a wrong clock, whose batches look old.",
                    ),
                    lines(
                        "Share over 100 ms",
                        "Batches that the detector judged later than 100 ms after they were sent. Normal: below 1 %, the objective. "
                        "14 % for an hour fires GridPulseLatencyBudgetBurn, whose section in docs/operations.md tells what to do.",
                        "percentunit",
                        prom(f"1 - ({met})", "over 100 ms"),
                        limits=steps((None, "green"), (0.01, "red")),
                        empty="nothing was read",
                        low=0,
                    ),
                    lines(
                        "Writing to a destination, p99",
                        "Time of a write to InfluxDB and of an object to the archive. Normal: under 0.5 s and under 5 s. More: the "
                        "destination is busy; the app waits for it, and nothing is lost.",
                        "s",
                        prom(quantile(0.99, "gridpulse_influx_sink_write_seconds"), "InfluxDB"),
                        prom(quantile(0.99, "gridpulse_archiver_write_seconds"), "object", "B"),
                        empty="nothing was written",
                        low=0,
                    ),
                ],
            ),
            (
                "Failures",
                [
                    bars(
                        "Dead letters, by reason",
                        "What could not be read or was refused, a second, of all apps. Normal: none. A flood of one reason: a "
                        "sender changed; gridpulse-redrive list shows them.",
                        "cps",
                        *each(
                            f"sum by (reason) (rate(gridpulse_APP_dead_letters_total[{RATE}]))",
                            "{app} {{reason}}",
                            {"ingest": "ingest", "influx-sink": "influx_sink", "archiver": "archiver", "alerter": "alerter"},
                        ),
                        empty="none",
                        width=8,
                    ),
                    bars(
                        "Waiting for a destination",
                        "Times a destination was down or busy and reading paused, a second. Normal: none. Steady: InfluxDB, the "
                        "object store or a receiver is down; nothing is lost while Kafka keeps it.",
                        "cps",
                        *each(
                            f"sum(rate(gridpulse_APP_pauses_total[{RATE}]))",
                            apps={"influx-sink": "influx_sink", "archiver": "archiver", "alerter": "alerter"},
                        ),
                        empty="none",
                        width=8,
                    ),
                    bars(
                        "Repeats dropped",
                        "Records or rows that had been taken before, a second: what a restart upstream sends again. Normal: none, a "
                        "short peak after a restart. Steady: "
                        "an app is restarted again and again, or a topic is replayed; nothing is doubled.",
                        "cps",
                        prom(f'sum(rate(gridpulse_detector_readings_total{{outcome="dropped"}}[{RATE}]))', "detector"),
                        prom(f"sum(rate(gridpulse_influx_sink_repeats_total[{RATE}]))", "influx-sink", "B"),
                        prom(f"sum(rate(gridpulse_archiver_repeats_total[{RATE}]))", "archiver", "C"),
                        prom(f"sum(rate(gridpulse_alerter_repeats_total[{RATE}]))", "alerter", "D"),
                        empty="none",
                        width=8,
                    ),
                    states(
                        "Readiness",
                        "Conditions of /readyz of each app, the worst of its replicas. Normal: green. partitions or state red for long: "
                        "it waits for its turn, or recovers state; a destination red: it is down.",
                        "none",
                        *each("min by (check) (gridpulse_APP_ready)", "{app} {{check}}", PROCESSES),
                        limits=steps((None, "red"), (1, "green")),
                        empty="no app answers",
                    ),
                    number(
                        "Offsets missing in the archive",
                        "Offsets of meter.readings.valid at which the archiver read nothing, in the shown time. Normal: 0; a redrive "
                        "adds a few. More: gridpulse-archiver verify --ask-kafka tells what they were.",
                        "short",
                        prom(
                            'sum(increase(gridpulse_archiver_gap_offsets_total{topic="meter.readings.valid"}[$__range]))',
                            "missing",
                        ),
                        limits=steps((None, "green"), (1, "red")),
                        width=6,
                    ),
                    number(
                        "Rule files refused",
                        "Changes of rules.toml that were wrong, in the shown time: the rules before them stay in force. Normal: 0. "
                        "More: the detector's log names file, key and allowed range.",
                        "short",
                        prom('sum(increase(gridpulse_detector_rules_total{outcome="refused"}[$__range]))', "refused"),
                        limits=steps((None, "green"), (1, "yellow")),
                        width=6,
                    ),
                    number(
                        "Restarts",
                        "Starts of processes in the shown time beyond the first. Normal: 0, or one each at an upgrade. More: the log "
                        "says why it stopped; it goes on from its checkpoint.",
                        "short",
                        prom(f"sum(changes(process_start_time_seconds{{{JOB}}}[$__range]))", "restarts"),
                        limits=steps((None, "green"), (1, "yellow")),
                        width=6,
                    ),
                    number(
                        "Overtaken in the archive",
                        "Times another writer had archived the same offsets first, in the shown time. Normal: 0, a few at a "
                        "rebalance; harmless. Steady: two archivers have different consumer groups.",
                        "short",
                        prom("sum(increase(gridpulse_archiver_overtaken_total[$__range]))", "overtaken"),
                        limits=steps((None, "green"), (10, "yellow")),
                        width=6,
                    ),
                ],
            ),
            (
                "Checkpoints and state",
                [
                    lines(
                        "Checkpoint time, p99",
                        "Time to write, commit and flush state. Normal: under a second; archiver seconds. Longer than its interval: "
                        "the destination or the disk is slow.",
                        "s",
                        *each(quantile(0.99, "gridpulse_APP_checkpoint_seconds")),
                        empty="no checkpoint in the shown time",
                        width=8,
                        low=0,
                    ),
                    lines(
                        "Since the last checkpoint",
                        "Age of the last complete checkpoint, the oldest of an app. Normal: a saw of its interval (ingest 1 s, "
                        "detector 30 s, archiver 60 s). Growing: it cannot commit; after a crash all since then is done again.",
                        "s",
                        *each("time() - min(gridpulse_APP_last_checkpoint_timestamp_seconds)"),
                        empty="no app answers",
                        width=8,
                        low=0,
                    ),
                    lines(
                        "State size",
                        "Files of the local state. Normal: detector 3 kB a meter and what RocksDB has not yet compacted; others "
                        "small. Grows without end: ids of meters or feeders are made up by a sender.",
                        "bytes",
                        *each("sum(gridpulse_APP_state_bytes)", apps=PROCESSES),
                        empty="no app answers",
                        width=8,
                        low=0,
                    ),
                    lines(
                        "Memory",
                        "Resident memory of each replica. Normal: flat after the first minutes. Grows for hours: make soak finds out "
                        "why; a restart loses nothing.",
                        "bytes",
                        prom(f"process_resident_memory_bytes{{{JOB}}}", "{{job}} {{instance}}"),
                        width=8,
                        low=0,
                    ),
                    lines(
                        "Processor",
                        "Cores each replica uses. Normal: below 1, which is the most one uses for its messages. At 1 with lag: add "
                        "replicas, up to the partitions.",
                        "none",
                        prom(f"rate(process_cpu_seconds_total{{{JOB}}}[{RATE}])", "{{job}} {{instance}}"),
                        width=8,
                        low=0,
                    ),
                    lines(
                        "Archive written",
                        "Bytes stored in the archive, a second. Normal: about 10 bytes a reading. 0 while readings come: it waits "
                        "for the object store.",
                        "Bps",
                        prom(f"sum by (kind) (rate(gridpulse_archiver_bytes_total[{RATE}]))", "{{kind}}"),
                        width=8,
                        low=0,
                    ),
                ],
            ),
        ],
        sources=("prometheus",),
    )
