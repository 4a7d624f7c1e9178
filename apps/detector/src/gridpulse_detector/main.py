"""Composition of the detector."""

from gridpulse_detector.asset_feed import follow_assets
from gridpulse_detector.assets import AssetBook
from gridpulse_detector.commands import offline_commands
from gridpulse_detector.detection import Detector
from gridpulse_detector.reloading import RulesFile
from gridpulse_detector.ruleset import RuleError, load_rules
from gridpulse_detector.settings import DetectorSettings
from gridpulse_detector.topology import wire
from gridpulse_runtime.application import make_application
from gridpulse_runtime.console import console
from gridpulse_runtime.health import Health
from gridpulse_runtime.hooks import watch
from gridpulse_runtime.kafka import connect_codec, ensure_topics
from gridpulse_runtime.metrics import AppMetrics
from gridpulse_runtime.settings import stop
from gridpulse_schemas.topics import ANOMALIES, ASSETS, ROLLUPS, VALID

__all__ = ["main", "run"]


def run(settings: DetectorSettings, health: Health) -> None:
    """Judge readings against stateful windows and rules; send anomalies to grid.anomalies and feeder rollups to grid.rollups."""
    try:
        rules = load_rules(settings.rules)
    except RuleError as error:
        raise SystemExit(stop(f"GRIDPULSE_RULES: {error}")) from None
    ensure_topics(settings, (VALID, ASSETS, ANOMALIES, ROLLUPS))
    codec = connect_codec(settings)
    assets = AssetBook()
    detector = Detector(rules, assets)
    detector.warm_up()
    assets.source = follow_assets(settings, codec, assets)
    app = make_application(settings, "detector", AppMetrics.of("detector"), commit_every=0, subscription=2, in_parts=True)
    if settings.rules is not None:
        RulesFile(settings.rules, detector).follow()
    wire(app, detector, codec)
    watch(app, health)
    health.add("start", lambda: None)
    app.run()


def main() -> None:
    """Entry point of `gridpulse-detector`: the app without arguments, replay and explain besides."""
    console("detector", DetectorSettings, run, offline_commands)
