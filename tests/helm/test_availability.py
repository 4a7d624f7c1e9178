"""What keeps the apps running: probes, state, rollouts, drained nodes."""

from __future__ import annotations

from manifests import APPS, component, one, pods
from rendering import Example, Plain, every_example


@every_example
def test_every_app_is_probed(example: Example, name: str) -> None:
    apps = [(component, container) for component, _, container in pods(example(name)) if component in APPS]
    assert apps
    for _, container in apps:
        assert (
            container["startupProbe"]["httpGet"] == container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "metrics"}
        )
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
        assert container["startupProbe"]["failureThreshold"] * container["startupProbe"]["periodSeconds"] >= 120
        (port,) = container["ports"]
        values = {each["name"]: each.get("value") for each in container["env"]}
        assert (port["name"], str(port["containerPort"])) == ("metrics", values["GRIDPULSE_METRICS_PORT"])


def test_the_detector_keeps_its_state_and_its_name(plain: Plain) -> None:
    detector = one(plain(), "StatefulSet", "detector")
    (claim,) = detector["spec"]["volumeClaimTemplates"]
    (container,) = detector["spec"]["template"]["spec"]["containers"]
    assert {"name": claim["metadata"]["name"], "mountPath": "/state"} in container["volumeMounts"]
    environment = {each["name"]: each for each in container["env"]}
    assert environment["GRIDPULSE_STATE_DIR"]["value"] == "/state"
    assert environment["GRIDPULSE_INSTANCE_ID"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert detector["spec"]["podManagementPolicy"] == "Parallel"
    assert detector["spec"]["serviceName"] == one(plain(), "Service", "detector")["metadata"]["name"]
    for app in ("ingest", "influx-sink", "archiver", "alerter"):
        environment = {each["name"]: each for name, _, c in pods(plain()) if name == app for each in c["env"]}
        assert "GRIDPULSE_INSTANCE_ID" not in environment, "a name that never comes back would keep partitions until it times out"


def test_a_rollout_never_needs_more_replicas_than_partitions(plain: Plain) -> None:
    for manifest in plain({"common.replicas": 4, "apps.ingest.replicas": 4}):
        if manifest["kind"] == "Deployment":
            assert manifest["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_nodes_can_be_drained(plain: Plain) -> None:
    budgets = [each for each in plain() if each["kind"] == "PodDisruptionBudget"]
    assert {component(each) for each in budgets} == set(APPS)
    for budget in budgets:
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_replicas_are_apart(plain: Plain, example: Example) -> None:
    for app in APPS:
        pod = next(pod for name, pod, _ in pods(plain()) if name == app)
        (preferred,) = pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
        assert preferred["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
        assert preferred["podAffinityTerm"]["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == app
        assert [each["topologyKey"] for each in pod["topologySpreadConstraints"]] == ["topology.kubernetes.io/zone"]
        pod = next(pod for name, pod, _ in pods(example("production")) if name == app)
        assert pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
