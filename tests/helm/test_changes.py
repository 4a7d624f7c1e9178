"""The files of the apps: as they were given, and what a change of one sets off."""

from __future__ import annotations

from pathlib import Path

from manifests import component, one, pods
from rendering import NAMES, Example, Manifest, Plain

from gridpulse_alerter import alerts_file
from gridpulse_detector.ruleset import load_rules


def annotations(manifests: list[Manifest], kind: str, name: str) -> dict[str, str]:
    return dict(one(manifests, kind, name)["spec"]["template"]["metadata"]["annotations"])


def test_changed_alerts_roll_the_alerter_and_nothing_else(plain: Plain) -> None:
    before, after = (
        plain({"apps.alerter.alerts": f'[[receivers]]\nname = "{name}"\nurl = "https://x.example"\n'}) for name in "ab"
    )
    assert annotations(before, "Deployment", "alerter") != annotations(after, "Deployment", "alerter")
    changed = [one["kind"] + "/" + component(one) for one, other in zip(before, after, strict=True) if one != other]
    assert sorted(changed) == ["ConfigMap/alerts", "Deployment/alerter"]


def test_changed_rules_are_reloaded_or_roll_the_detector(plain: Plain) -> None:
    def change(how: str) -> list[str]:
        before, after = (
            plain({"apps.detector.rules": f"[sag]\nbelow_pu = {limit}\n", "apps.detector.onRulesChange": how})
            for limit in (0.8, 0.9)
        )
        return sorted(f"{one['kind']}/{component(one)}" for one, other in zip(before, after, strict=True) if one != other)

    assert change("reload") == ["ConfigMap/rules"]
    assert change("roll") == ["ConfigMap/rules", "StatefulSet/detector"]


def test_files_arrive_as_they_are(plain: Plain) -> None:
    rules = '# Ünïcode, {{ braces }}\n[sag]\nbelow_pu = 0.88 # "quoted"\n\n[swell]\nabove_pu = 1.2\n'
    assert one(plain({"apps.detector.rules": rules}), "ConfigMap", "rules")["data"] == {"rules.toml": rules}
    variables = {
        each["name"]: each
        for name, _, c in pods(plain({"apps.detector.rules": rules}))
        if name == "detector"
        for each in c["env"]
    }
    assert variables["GRIDPULSE_RULES"]["value"] == "/etc/gridpulse/rules/rules.toml"


def test_the_apps_take_the_files_of_the_examples(example: Example, tmp_path: Path) -> None:
    for manifest in (each for name in NAMES for each in example(name) if each["kind"] == "ConfigMap"):
        for name, content in manifest["data"].items():
            (tmp_path / name).write_text(content)
    load_rules(tmp_path / "rules.toml")
    assert [receiver.name for receiver in alerts_file.read(tmp_path / "alerts.toml").receivers] == ["control-room", "chat"]
