"""The rules: promtool accepts and tests them, they name metrics that exist, each alert says what to do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from shown.metric_names import exported, named
from shown.panels import FOLDER

RULES = sorted((FOLDER / "prometheus/rules").glob("*.yaml"))
TESTS = sorted((FOLDER / "prometheus/tests").glob("*.yaml"))
OTHERS = {"up", "process_start_time_seconds", "kafka_topic_partition_under_replicated_partition"}
"""Of Prometheus itself, of every process, of kafka-exporter."""


def rules() -> list[dict[str, Any]]:
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]
every_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: f"{rule['alert']} {rule['labels']['severity']}")


def test_promtool_accepts_them(promtool: str) -> None:
    done = subprocess.run([promtool, "check", "rules", *RULES], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_each_fires_when_it_should_and_not_otherwise(promtool: str, path: Path) -> None:
    done = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_alert_that_never_fires_fails_its_test(promtool: str, tmp_path: Path) -> None:
    """The test above can fail, for each alert."""
    content = yaml.safe_load(RULES[0].read_text())
    for group in content["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                rule["expr"] = f"({rule['expr']}) and on () (vector(0) > 1)"
    for folder, path, text in (("rules", RULES[0], yaml.safe_dump(content)), ("tests", TESTS[0], TESTS[0].read_text())):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / path.name).write_text(text)
    wrong = tmp_path / "tests" / TESTS[0].name
    done = subprocess.run([promtool, "test", "rules", wrong], capture_output=True, text=True, timeout=240, check=False)
    missed = set(re.findall(r"GridPulse\w+", done.stdout + done.stderr))
    assert missed == {alert["alert"] for alert in ALERTS}


@every_alert
def test_an_alert_is_tested_silent_and_firing(alert: dict[str, Any]) -> None:
    cases = [case for path in TESTS for case in yaml.safe_load(path.read_text())["tests"]]
    own = [case for case in cases if re.match(rf"{alert['alert']}(,|$)", case["name"])]
    assert own
    silent = firing = False
    for case in own:
        for check in case.get("promql_expr_test", []):
            silent |= check["exp_samples"] == []
            firing |= any(f'alertname="{alert["alert"]}"' in sample["labels"] for sample in check["exp_samples"])
        for check in case.get("alert_rule_test", []):
            silent |= check["exp_alerts"] == []
            firing |= bool(check["exp_alerts"])
    assert silent
    assert firing


@every_alert
def test_an_alert_says_how_bad_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert {"summary", "description", "runbook_url"} == set(alert["annotations"])
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert anchor == alert["alert"].lower()
    sections = re.split(r"^### ", (FOLDER.parent / page).read_text(), flags=re.MULTILINE)
    (section,) = [text for text in sections if text.splitlines()[0] == alert["alert"]]
    assert len(section.split()) > 30, "a section says what it means and what to do"


def test_the_runbook_has_no_alert_that_is_gone() -> None:
    headings = set(re.findall(r"^### (GridPulse\w+)$", (FOLDER.parent / "docs/operations.md").read_text(), flags=re.MULTILINE))
    assert headings == {alert["alert"] for alert in ALERTS}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_names_only_metrics_that_exist(rule: dict[str, Any]) -> None:
    recorded = {one["record"] for one in rules() if "record" in one}
    names = named(rule["expr"])
    assert names
    assert names <= exported() | recorded | OTHERS
