"""The jobs of the chart: topics before everything, and the care of the archive."""

from __future__ import annotations

from manifests import component, one
from rendering import Example, Plain


def test_topics_come_before_everything(example: Example) -> None:
    hooks = [each for each in example("production") if "helm.sh/hook" in each["metadata"].get("annotations", {})]
    weights = {each["kind"]: int(each["metadata"]["annotations"]["helm.sh/hook-weight"]) for each in hooks}
    assert weights == {"ServiceAccount": -10, "NetworkPolicy": -10, "Job": 0}
    assert {each["metadata"]["annotations"]["helm.sh/hook"] for each in hooks} == {"pre-install,pre-upgrade"}
    (container,) = one(hooks, "Job", "topics")["spec"]["template"]["spec"]["containers"]
    assert (container["command"], container["args"]) == (["gridpulse-ingest"], ["topics"])
    assert {each["secret"]["name"] for volume in one(hooks, "Job", "topics")["spec"]["template"]["spec"]["volumes"]
            for each in volume.get("projected", {}).get("sources", [])} == {"kafka-gridpulse-topics", "kafka-ca"}  # fmt: skip


def test_the_archive_is_merged_and_verified_when_asked(example: Example, plain: Plain) -> None:
    assert not [each for each in plain() if each["kind"] == "CronJob"]
    jobs = {component(each): each["spec"] for each in example("production") if each["kind"] == "CronJob"}
    commands = {name: job["jobTemplate"]["spec"]["template"]["spec"]["containers"][0] for name, job in jobs.items()}
    assert {name: (each["command"], each["args"]) for name, each in commands.items()} == {
        "archive-compact": (["gridpulse-archiver"], ["compact"]),
        "archive-verify": (["gridpulse-archiver"], ["verify", "--ask-kafka"]),
    }
    assert {job["concurrencyPolicy"] for job in jobs.values()} == {"Forbid"}
