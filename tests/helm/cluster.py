"""`make test-cluster`: the chart on a real control plane, by Helm 3 and Helm 4. Not in `make test`: the build takes long."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from control_plane import ControlPlane, ready
from manifests import APPS
from rendering import CHART, EXAMPLES, READER, Helm, Manifest, provided

from gridpulse_native.provision.kubernetes import HELM, HELM_3

pytestmark = pytest.mark.timeout(1200)
RESTRICTED = {f"pod-security.kubernetes.io/{what}": "restricted" for what in ("enforce", "warn", "audit")}
NODES = 4
IMAGES = {f"registry.example.org/energy/gridpulse/{app}:0.1.0" for app in APPS}
PRODUCTION = CHART / "examples" / "production.yaml"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    plane = ControlPlane(tmp_path_factory.mktemp("control-plane"))
    try:
        plane.start(NODES)
        plane.define_custom_resources()
        plane.make(
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": "business-critical"},
                "value": 1000,
            }
        )
        yield plane
    finally:
        plane.stop()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda file: file.stem)
def test_the_api_server_takes_every_object_of_every_example(cluster: ControlPlane, helm: Helm, example: Path) -> None:
    """Without one unknown field, warning of a deprecated version, or breach of the restricted pod security standard."""
    cluster.make_namespace(f"dry-{example.stem}", RESTRICTED)
    manifests = helm.template("-f", example)
    for manifest in manifests:
        manifest["metadata"]["namespace"] = f"dry-{example.stem}"
        cluster.make(manifest, dryRun="All")
    assert {"StatefulSet", "Deployment", "NetworkPolicy"} <= {manifest["kind"] for manifest in manifests}


def test_it_would_not_take_a_mistake(cluster: ControlPlane, helm: Helm) -> None:
    cluster.make_namespace("wrong", RESTRICTED)
    (detector,) = (each for each in helm.template("-f", PRODUCTION) if each["kind"] == "StatefulSet")
    detector["metadata"]["namespace"] = "wrong"
    detector["spec"]["replica"] = 2
    with pytest.raises(AssertionError, match="unknown field"):
        cluster.make(detector, dryRun="All")
    del detector["spec"]["replica"]
    del detector["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"]
    with pytest.raises(AssertionError, match="runAsNonRoot"):
        cluster.make(detector, dryRun="All")


class Release:
    """A release of the chart in a namespace of its own."""

    def __init__(self, cluster: ControlPlane, program: Path, namespace: str) -> None:
        self.cluster, self.program, self.namespace = cluster, program, namespace

    def helm(self, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [self.program, *words, "--namespace", self.namespace, "--kubeconfig", self.cluster.kubeconfig]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, env={"PATH": os.defpath,
                              "HOME": str(self.cluster.folder)})  # fmt: skip
        assert not check or done.returncode == 0, f"helm {' '.join(map(str, words))}:\n{done.stderr[-3000:]}"
        return done

    def manifests(self) -> list[Manifest]:
        """What Helm says it installed."""
        return [each for each in yaml.load_all(self.helm("get", "manifest", "grid").stdout, READER) if each]

    def status(self) -> Manifest:
        return dict(json.loads(self.helm("status", "grid", "--output", "json").stdout))

    def pods(self, component: str) -> list[Manifest]:
        selector = f"app.kubernetes.io/instance=grid,app.kubernetes.io/component={component}"
        return list(self.cluster.get("v1", "Pod", self.namespace, labelSelector=selector)["items"])

    def runs(self, images: set[str]) -> None:
        """Wait until the pods that run are of these images: what Helm does not wait for is that the last old one is gone."""

        def those() -> bool:
            pods = self.cluster.get("v1", "Pod", self.namespace)["items"]
            return {pod["spec"]["containers"][0]["image"] for pod in pods if pod["status"]["phase"] == "Running"} == images

        self.cluster.wait(f"pods of {images}", those)

    def config(self, name: str) -> dict[str, str]:
        return dict(self.cluster.get("v1", "ConfigMap", self.namespace, f"grid-gridpulse-{name}")["data"])


def rolled_out(workload: Manifest, replicas: int) -> bool:
    """As `kubectl rollout status` judges."""
    status: dict[str, Any] = workload["status"]
    current = status.get("observedGeneration") == workload["metadata"]["generation"]
    same = workload["kind"] == "Deployment" or status.get("currentRevision") == status.get("updateRevision")
    return current and same and all(status.get(key) == replicas for key in ("replicas", "updatedReplicas", "readyReplicas"))


def check_all_there(release: Release, replicas: dict[str, int]) -> None:
    """Every object is there, every rollout complete, every pod ready and on a node of its own, the topics made."""
    check_rollouts(release, replicas)
    for each in release.manifests():
        release.cluster.get(each["apiVersion"], each["kind"], release.namespace, each["metadata"]["name"])
    for name, count in replicas.items():
        pods = release.pods(name)
        assert len(pods) == count
        assert all(map(ready, pods))
        assert len({pod["spec"]["nodeName"] for pod in pods}) == count, "anti-affinity is required"
    jobs = [hook for hook in release.status()["hooks"] if hook["kind"] == "Job"]
    assert [hook["last_run"]["phase"] for hook in jobs] == ["Succeeded"]


def check_rollouts(release: Release, replicas: dict[str, int]) -> None:
    """Wait until every workload has its replicas, all of the newest kind: Helm 3 returns a moment before a StatefulSet has."""

    def complete() -> bool:
        found = {each["metadata"]["labels"]["app.kubernetes.io/component"]: each for each in workloads(release)}
        return set(found) == set(replicas) and all(rolled_out(each, replicas[name]) for name, each in found.items())

    release.cluster.wait(f"rollouts of {replicas}", complete)


def workloads(release: Release) -> list[Manifest]:
    """Deployments and StatefulSets, with their kind, which the items of a list do not have."""
    kinds = ("Deployment", "StatefulSet")
    return [{**each, "kind": kind} for kind in kinds for each in release.cluster.get("apps/v1", kind, release.namespace)["items"]]


def make_volumes(cluster: ControlPlane, namespace: str, count: int) -> None:
    """What a provisioner would make: kwok has none."""
    for number in range(count):
        spec = {"capacity": {"storage": "20Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": f"fast-{namespace}",
                "hostPath": {"path": f"/nowhere/{number}"}}  # fmt: skip
        cluster.make(
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"{namespace}-{number}"}, "spec": spec}
        )


@pytest.mark.parametrize("recipe", [HELM, HELM_3], ids=["helm-4", "helm-3"])
def test_install_upgrade_rollback_uninstall(cluster: ControlPlane, recipe: Any) -> None:
    namespace = f"with-{recipe.version.replace('.', '-')}"
    cluster.make_namespace(namespace, RESTRICTED)
    make_volumes(cluster, namespace, 4)
    release = Release(cluster, provided(recipe) / "helm", namespace)
    values = (
        "-f",
        PRODUCTION,
        "--set",
        f"apps.detector.persistence.storageClassName=fast-{namespace}",
        "--wait",
        "--timeout",
        "10m",
    )

    release.helm("install", "grid", CHART, *values)  # scaled by KEDA, which is not there: as many as without it
    release.runs(IMAGES)
    check_all_there(release, dict.fromkeys(APPS, 1))
    assert release.config("rules")["rules.toml"].startswith("[sag]\nbelow_pu = 0.88\n")

    refused = release.helm("upgrade", "grid", CHART, *values, "--set", "apps.ingest.replcas=3", check=False)
    assert "replcas" in refused.stderr

    change = ("--set", "image.tag=0.2.0", "--set", "common.autoscaling.enabled=false", "--set", "apps.detector.replicas=4",
              "--set", "apps.detector.rules=[sag]\nbelow_pu = 0.8\n")  # fmt: skip
    release.helm("upgrade", "grid", CHART, *values, *change)
    release.runs({each.replace("0.1.0", "0.2.0") for each in IMAGES})
    check_all_there(release, {"ingest": 2, "detector": 4, "influx-sink": 2, "archiver": 2, "alerter": 2})
    assert release.config("rules")["rules.toml"].startswith("[sag]\nbelow_pu = 0.8\n")
    assert {pod["metadata"]["name"] for pod in release.pods("detector")} == {f"grid-gridpulse-detector-{n}" for n in range(4)}
    assert claims(cluster, namespace) == ["Bound"] * 4

    release.helm("rollback", "grid", "1", "--wait", "--timeout", "10m")
    release.runs(IMAGES)
    assert release.config("rules")["rules.toml"].startswith("[sag]\nbelow_pu = 0.88\n")
    check_rollouts(release, dict.fromkeys(APPS, 1))
    cluster.wait("a volume for the one detector", lambda: claims(cluster, namespace) == ["Bound"])

    release.helm("uninstall", "grid", "--wait", "--timeout", "10m")
    assert workloads(release) == []
    assert claims(cluster, namespace) == ["Bound"], "what the detector knows outlives an uninstall"


def claims(cluster: ControlPlane, namespace: str) -> list[str]:
    """Phase of each volume claim."""
    return [each["status"]["phase"] for each in cluster.get("v1", "PersistentVolumeClaim", namespace)["items"]]
