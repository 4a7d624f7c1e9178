"""What watches the apps: scraped metrics, dashboards and rules."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
import yaml
from manifests import APPS, component, fits, one, pod_of
from rendering import CHART, SMALLEST, Example, Helm, Manifest, sets


@pytest.mark.parametrize(("name", "kind"), [("production", "PodMonitor"), ("strimzi-scram", "ServiceMonitor")])
def test_metrics_of_every_app_are_scraped(example: Example, name: str, kind: str) -> None:
    manifests = example(name)
    monitor = one(manifests, kind, "monitoring")["spec"]
    scraped = [each for each in manifests if each["kind"] == "Service"] if kind == "ServiceMonitor" else []
    scraped = scraped or [each for each in manifests if each["kind"] in ("Deployment", "StatefulSet")]
    for each in scraped:
        template = pod_of(each) or each
        assert monitor["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        ports = [port["name"] for port in each["spec"].get("ports") or template["spec"]["containers"][0]["ports"]]
        assert [endpoint["port"] for endpoint in monitor.get("endpoints") or monitor["podMetricsEndpoints"]] == ports
    assert {component(each) for each in scraped} == set(APPS)


MONITORED = {"monitoring.rules.enabled": True, "monitoring.dashboards.enabled": True, "monitoring.rules.labels": {"release": "x"}}


def test_dashboards_and_rules_are_shipped_as_they_are(
    helm: Helm, filled_chart: Path, tmp_path: Path, definitions: dict[str, Manifest]
) -> None:
    helm.run("package", filled_chart, "--destination", tmp_path)
    (package,) = tmp_path.glob("*.tgz")
    for chart in (filled_chart, package):  # from the checkout through its links, and packaged, where they are files
        manifests = helm.template(*sets(SMALLEST | MONITORED), chart=chart)
        board = one(manifests, "ConfigMap", "dashboard-sample")
        assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert board["data"] == {"sample.json": (tmp_path / "dashboards/grafana/sample.json").read_text()}
        rule = one(manifests, "PrometheusRule", "rules-sample")
        assert rule["spec"] == yaml.safe_load((tmp_path / "dashboards/prometheus/rules/sample.yaml").read_text())
        assert rule["metadata"]["labels"]["release"] == "x"
        fits(rule, definitions)
    with tarfile.open(package) as archive:
        assert not [member.name for member in archive if member.issym() or member.islnk()]


def test_the_chart_ships_those_of_the_repository(helm: Helm, definitions: dict[str, Manifest]) -> None:
    """Every dashboard and every rule there is, none left out, none too large."""
    root = CHART.parents[1] / "dashboards"
    manifests = helm.template(*sets(SMALLEST | MONITORED))
    boards = {each["metadata"]["name"] for each in manifests if "grafana_dashboard" in each["metadata"]["labels"]}
    rules = [each for each in manifests if each["kind"] == "PrometheusRule"]
    assert boards == {f"grid-gridpulse-dashboard-{file.stem}" for file in (root / "grafana").glob("*.json")}
    assert {each["metadata"]["name"] for each in rules} == {
        f"grid-gridpulse-rules-{file.stem}" for file in (root / "prometheus" / "rules").glob("*.yaml")
    }
    for rule in rules:
        fits(rule, definitions)
    assert all(file.stat().st_size < 1_000_000 for file in (root / "grafana").glob("*.json"))  # what a ConfigMap holds
