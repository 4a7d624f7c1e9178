"""What the chart renders: accepted by Kubernetes, safe, and in agreement with the apps."""

from __future__ import annotations

import functools
import importlib
import json
import re
import tarfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils as kubernetes_schemas
from rendering import CHART, EXAMPLES, SMALLEST, WORKLOADS, Helm, Manifest, pod_of, sets

from gridpulse_alerter import alerts_file
from gridpulse_detector.ruleset import load_rules
from gridpulse_ingest.settings import IngestSettings
from gridpulse_runtime.object_store import ObjectStoreSettings
from gridpulse_runtime.settings import PREFIX, AppSettings, KafkaSettings
from gridpulse_schemas.topics import READINGS_DLQ, TOPICS

Example = Callable[[str], list[Manifest]]
Plain = Callable[..., list[Manifest]]
APPS = ("ingest", "detector", "influx-sink", "archiver", "alerter")
NAMES = [example.stem for example in EXAMPLES]
every_example = pytest.mark.parametrize("name", NAMES)
CUSTOM = ("keda.sh", "monitoring.coreos.com")


def settings_of(component: str) -> type[KafkaSettings]:
    """Settings class of the program that a component runs."""
    if component == "topics":
        return IngestSettings
    if component.startswith("archive-"):
        return ObjectStoreSettings
    module = importlib.import_module(f"gridpulse_{component.replace('-', '_')}.settings")
    return next(getattr(module, name) for name in module.__all__ if name.endswith("Settings"))


def variables(settings: type[KafkaSettings]) -> set[str]:
    return {f"{PREFIX}{name.upper()}" for name in settings.model_fields}


def component(manifest: Manifest) -> str:
    return str(manifest["metadata"]["labels"]["app.kubernetes.io/component"])


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest, Manifest]]:
    """Component, pod specification and its one container, of every workload."""
    for manifest in manifests:
        template = pod_of(manifest)
        if template is not None:
            (container,) = template["spec"]["containers"]
            yield component(manifest), template["spec"], container


def one(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """The manifest of a kind and component."""
    (found,) = (each for each in manifests if each["kind"] == kind and component(each) == name)
    return found


def selects(selector: dict[str, str], manifest: Manifest) -> bool:
    template = pod_of(manifest)
    return template is not None and selector.items() <= template["metadata"]["labels"].items()


# ---- accepted by Kubernetes ----------------------------------------------------------------------------------------------


@every_example
def test_lint(helm: Helm, name: str) -> None:
    helm.run("lint", "--strict", CHART, "-f", CHART / "examples" / f"{name}.yaml")


@pytest.mark.parametrize("version", ["1.27", "1.30", "1.33", "1.37"])
@every_example
def test_every_object_fits_the_schemas_of_kubernetes(
    example: Example, name: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_schemas, "schema_contents", schema_contents)
    for manifest in example(name):
        if not manifest["apiVersion"].startswith(CUSTOM):
            kubernetes_validate.validate(manifest, version, strict=True)


schema_contents = functools.cache(kubernetes_schemas.schema_contents)
"""A megabyte of JSON, asked for again with every object."""


def test_a_mistake_would_not_fit(example: Example) -> None:
    manifest = json.loads(json.dumps(one(example("laptop"), "Deployment", "ingest")))
    manifest["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        kubernetes_validate.validate(manifest, "1.37", strict=True)


def strict(schema: Any) -> Any:
    """The schema of a custom resource, refusing what it does not name (the API server would drop that silently)."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        result.setdefault("additionalProperties", False)
    return result


@every_example
def test_every_custom_resource_fits_its_definition(example: Example, name: str, definitions: dict[str, Manifest]) -> None:
    found = [manifest for manifest in example(name) if manifest["apiVersion"].startswith(CUSTOM)]
    assert found or name in ("laptop", "openshift", "strimzi-tls")
    for manifest in found:
        fits(manifest, definitions)


def fits(manifest: Manifest, definitions: dict[str, Manifest]) -> None:
    version = manifest["apiVersion"].split("/")[1]
    versions = definitions[manifest["kind"]]["spec"]["versions"]
    (schema,) = (each["schema"]["openAPIV3Schema"] for each in versions if each["name"] == version)
    jsonschema.Draft202012Validator(strict(schema)).validate(manifest)


# ---- safe ----------------------------------------------------------------------------------------------------------------


@every_example
def test_every_pod_is_restricted(example: Example, name: str) -> None:
    found = list(pods(example(name)))
    assert {component for component, _, _ in found} >= {"ingest", "detector", "alerter"}
    for _, pod, container in found:
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"]["cpu"]


@every_example
def test_every_account_is_the_components_own_and_has_no_token(example: Example, name: str) -> None:
    manifests = example(name)
    accounts = {each["metadata"]["name"]: each for each in manifests if each["kind"] == "ServiceAccount"}
    used = [pod["serviceAccountName"] for _, pod, _ in pods(manifests)]
    assert sorted(used) == sorted(accounts)
    assert all(account["automountServiceAccountToken"] is False for account in accounts.values())


SECRETS = re.compile(r"PASSWORD|TOKEN|SECRET|ACCESS_KEY|SASL_USERNAME_FILE")


@every_example
def test_secrets_are_files_that_are_there(example: Example, name: str) -> None:
    manifests = example(name)
    assert not [each for each in manifests if each["kind"] == "Secret"]
    for _, pod, container in pods(manifests):
        files = set(mounted(pod, container))
        for variable in container["env"]:
            assert "secretKeyRef" not in variable.get("valueFrom", {}), variable
            path = variable.get("value", "")
            if SECRETS.search(variable["name"]):
                assert variable["name"].endswith("_FILE"), variable
            if path.startswith("/etc/gridpulse"):
                assert path in files, variable


def mounted(pod: Manifest, container: Manifest) -> Iterator[str]:
    """Paths of the files of Secrets and ConfigMaps in the container."""
    places = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    for volume in pod["volumes"]:
        sources = volume.get("projected", {}).get("sources", [volume])
        for source in (each.get("secret") for each in sources):
            yield from (f"{places[volume['name']]}/{item['path']}" for item in (source or {}).get("items", []))
        if "configMap" in volume:
            yield f"{places[volume['name']]}/{volume['name']}.toml"


@every_example
def test_what_is_written_to_is_a_volume(example: Example, name: str) -> None:
    for _, pod, container in pods(example(name)):
        volumes = {volume["name"] for volume in pod["volumes"]}
        for mount in container["volumeMounts"]:
            assert mount["name"] in volumes | {"state"}
            assert "subPath" not in mount, "a changed ConfigMap would never arrive"
            assert mount.get("readOnly", False) == mount["mountPath"].startswith("/etc/gridpulse")
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}  # noqa: S108


@every_example
def test_every_pod_has_a_network_policy(example: Example, name: str) -> None:
    manifests = example(name)
    policies = {component(each): each["spec"] for each in manifests if each["kind"] == "NetworkPolicy"}
    assert set(policies) == {name for name, _, _ in pods(manifests)}
    assert all(policy["policyTypes"] == ["Ingress", "Egress"] for policy in policies.values())


def reachable(manifests: list[Manifest], name: str) -> set[int]:
    return {port["port"] for rule in one(manifests, "NetworkPolicy", name)["spec"]["egress"] for port in rule["ports"]}


def test_each_app_reaches_what_it_works_with_and_nothing_else(example: Example, plain: Plain) -> None:
    laptop = example("laptop")
    assert {name: reachable(laptop, name) for name in (*APPS, "topics")} == {
        "ingest": {53, 9092, 8080},
        "detector": {53, 9092, 8080},
        "influx-sink": {53, 9092, 8080, 8086},
        "archiver": {53, 9092, 8080, 9000},
        "alerter": {53, 9092, 8080, 443},
        "topics": {53, 9092},
    }
    assert reachable(example("strimzi-tls"), "influx-sink") == {53, 9093, 8080, 8086}
    assert reachable(plain({"influxdb.url": "https://influx.example/db"}), "influx-sink") == {53, 9092, 8080, 443}
    assert reachable(plain({"kafka.bootstrapServers": "a:9092,b:9093"}), "ingest") == {53, 9092, 9093, 8080}
    assert one(laptop, "NetworkPolicy", "topics")["spec"]["ingress"] == []
    assert [rule["ports"] for rule in one(laptop, "NetworkPolicy", "ingest")["spec"]["ingress"]] == [
        [{"protocol": "TCP", "port": "metrics"}]
    ]


# ---- in agreement with the apps ------------------------------------------------------------------------------------------


@every_example
def test_every_variable_is_a_setting_of_its_app(example: Example, name: str) -> None:
    for component_name, _, container in pods(example(name)):
        given = [variable["name"] for variable in container["env"]]
        assert len(given) == len(set(given))
        known = variables(settings_of(component_name))
        assert {variable.removesuffix("_FILE") for variable in given if variable.startswith(PREFIX)} <= known


def test_every_app_is_told_what_it_must_know(plain: Plain) -> None:
    told = {
        name: {each["name"]: each.get("value") for each in container["env"]}
        for name, _, container in pods(plain())
        if name in APPS
    }
    for name in APPS:
        assert told[name]["GRIDPULSE_METRICS_HOST"] == "0.0.0.0"  # noqa: S104
        assert told[name]["GRIDPULSE_KAFKA_BOOTSTRAP"] == "kafka:9092"
        assert told[name]["GRIDPULSE_SCHEMA_REGISTRY_URL"] == "http://registry:8080"
    assert told["influx-sink"]["GRIDPULSE_INFLUX_URL"] == "http://influxdb:8086"
    assert told["archiver"]["GRIDPULSE_S3_ENDPOINT"] == "http://minio:9000"


def test_values_offer_every_setting_that_the_chart_does_not_make_itself(example: Example) -> None:
    """A new setting of an app fails here until values.schema.json knows it."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    made = {variable["name"] for name in NAMES for _, _, container in pods(example(name)) for variable in container["env"]}
    offered = {
        name: set(app["properties"]["env"]["properties"]) for name, app in schema["properties"]["apps"]["properties"].items()
    }
    offered["common"] = set(schema["properties"]["common"]["properties"]["env"]["properties"])
    free = made & set().union(*offered.values())  # those the examples give, or that have a default in values.yaml
    made = {variable.removesuffix("_FILE") for variable in made - free}
    for name in (*APPS, "common"):
        assert offered[name] == variables(AppSettings if name == "common" else settings_of(name)) - made


def test_replicas_end_at_the_partitions_of_the_manifest(example: Example, plain: Plain) -> None:
    scaled = [each for each in example("production") if each["kind"] == "ScaledObject"]
    assert {component(each) for each in scaled} == set(APPS)
    for each in scaled:
        topics = [trigger["metadata"]["topic"] for trigger in each["spec"]["triggers"]]
        assert {each["spec"]["maxReplicaCount"]} == {TOPICS[topic].partitions for topic in topics}
        assert each["spec"]["minReplicaCount"] == 2
    own = one(plain({"common.autoscaling.enabled": True, "kafka.partitions": 12}), "ScaledObject", "detector")
    assert (own["spec"]["minReplicaCount"], own["spec"]["maxReplicaCount"]) == (1, 12)


def test_lag_is_that_of_the_groups_and_topics_the_apps_have(example: Example) -> None:
    from gridpulse_archiver.topology import TOPICS as ARCHIVED  # noqa: PLC0415

    triggers = {
        component(each): [(t["metadata"]["consumerGroup"], t["metadata"]["topic"]) for t in each["spec"]["triggers"]]
        for each in example("production")
        if each["kind"] == "ScaledObject"
    }
    assert triggers == {
        "ingest": [("gridpulse-ingest", "meter.readings")],
        "detector": [("gridpulse-detector", "meter.readings.valid")],
        "influx-sink": [
            ("gridpulse-influx-sink", "grid.anomalies"),
            ("gridpulse-influx-sink", "grid.rollups"),
            ("gridpulse-influx-sink-readings", "meter.readings.valid"),
        ],
        "archiver": [("gridpulse-archiver", t) for t in ARCHIVED if TOPICS[t].partitions == TOPICS[READINGS_DLQ].partitions],
        "alerter": [("gridpulse-alerter", "grid.anomalies")],
    }


def test_where_keda_scales_the_chart_does_not(example: Example, plain: Plain) -> None:
    for manifest in example("production"):
        assert manifest["kind"] not in ("Deployment", "StatefulSet") or "replicas" not in manifest["spec"]
    detector = one(plain({"common.autoscaling.enabled": True}), "ScaledObject", "detector")
    assert detector["spec"]["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "name": "grid-gridpulse-detector",
    }
    assert "authenticationRef" not in detector["spec"]["triggers"][0]


def test_keda_signs_in_as_the_brokers_ask(example: Example) -> None:
    scram = example("strimzi-scram")
    (trigger,) = one(scram, "ScaledObject", "detector")["spec"]["triggers"]
    assert trigger["metadata"]["sasl"] == "scram_sha512"
    assert trigger["metadata"]["tls"] == "enable"
    signing = one(scram, "TriggerAuthentication", "scaling")
    assert trigger["authenticationRef"]["name"] == signing["metadata"]["name"]
    assert {each["parameter"]: each["key"] for each in signing["spec"]["secretTargetRef"]} == {
        "password": "password",
        "ca": "ca.crt",
    }
    (username,) = signing["spec"]["configMapTargetRef"]
    assert one(scram, "ConfigMap", "scaling")["data"][username["key"]] == "gridpulse"


@every_example
def test_selectors_agree(example: Example, name: str) -> None:
    manifests = example(name)
    workloads = [each for each in manifests if each["kind"] in WORKLOADS]
    for manifest in manifests:
        spec = manifest.get("spec", {})
        if manifest["kind"] in ("Deployment", "StatefulSet"):
            assert selects(spec["selector"]["matchLabels"], manifest)
        selector = {"Service": spec.get("selector"), "PodDisruptionBudget": spec.get("selector", {}).get("matchLabels"),
                    "NetworkPolicy": spec.get("podSelector", {}).get("matchLabels")}.get(manifest["kind"])  # fmt: skip
        if selector is not None:
            assert [component(each) for each in workloads if selects(selector, each)] == [component(manifest)]


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


# ---- changes -------------------------------------------------------------------------------------------------------------


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


def test_numbers_are_written_as_people_do(example: Example) -> None:
    environment = {
        each["name"]: each.get("value") for name, _, c in pods(example("production")) if name == "archiver" for each in c["env"]
    }
    assert environment["GRIDPULSE_ARCHIVE_ROWS"] == "2000000"


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


# ---- dashboards and rules ------------------------------------------------------------------------------------------------

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


# ---- mistakes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"apps.ingest.replcas": 2}, ("apps/ingest", "replcas")),
        ({"apps.injest": {}}, ("apps", "injest")),
        ({"kafka.bootstrap": "kafka:9092"}, ("kafka", "bootstrap")),
        ({"kafka.bootstrapServers": "kafka"}, ("kafka/bootstrapServers",)),
        ({"kafka.bootstrapServers": ""}, ("kafka.bootstrapServers is not set",)),
        ({"schemaRegistry.url": ""}, ("schemaRegistry.url is not set",)),
        ({"schemaRegistry.url": "registry:8080"}, ("schemaRegistry/url",)),
        ({"influxdb.existingSecret": ""}, ("influxdb.existingSecret is not set",)),
        ({"s3.endpoint": ""}, ("s3.endpoint is not set",)),
        ({"apps.archiver.enabled": False, "s3.endpoint": "", "archive.verify.enabled": True}, ("s3.endpoint is not set",)),
        ({"kafka.securityProtocol": "SASL"}, ("kafka/securityProtocol", "SASL_SSL")),
        ({"kafka.securityProtocol": "SASL_SSL"}, ("sasl.existingSecret", "is not set")),
        ({"kafka.securityProtocol": "SASL_SSL", "kafka.sasl.existingSecret": "kafka"}, ("kafka.sasl.username or usernameKey",)),
        ({"kafka.sasl.existingSecret": "kafka"}, ("no password would be used",)),
        ({"kafka.tls.caSecret": "ca"}, ("kafka.tls is set",)),
        ({"kafka.sasl.password": "hunter2"}, ("kafka/sasl", "password")),
        ({"influxdb.token": "hunter2"}, ("influxdb", "token")),
        ({"apps.influx-sink.env.GRIDPULSE_INFLUX_TOKEN": "hunter2"}, ("apps/influx-sink/env", "GRIDPULSE_INFLUX_TOKEN")),
        ({"apps.ingest.env.GRIDPULSE_MAX_AHED": 60}, ("apps/ingest/env", "GRIDPULSE_MAX_AHED")),
        ({"common.env.GRIDPULSE_MAX_AHEAD": 60}, ("common/env", "GRIDPULSE_MAX_AHEAD")),
        ({"common.extraEnv": [{"name": "GRIDPULSE_INFLUX_TOKEN", "value": "x"}]}, ("common/extraEnv/0/name",)),
        ({"apps.ingest.replicas": 5}, ("apps.ingest.replicas is 5", "kafka.partitions 4")),
        ({"apps.ingest.replicas": 0}, ("apps/ingest/replicas",)),
        (
            {"apps.detector.autoscaling.enabled": True, "apps.detector.autoscaling.maxReplicas": 5},
            ("apps.detector.autoscaling.maxReplicas is 5", "kafka.partitions 4"),
        ),
        (
            {"common.autoscaling.enabled": True, "common.autoscaling.minReplicas": 5},
            ("autoscaling.minReplicas is 5",),
        ),
        (
            {"apps.detector.rules": "x", "apps.detector.rulesConfigMap": "y"},
            ("rules and apps.detector.rulesConfigMap are both set",),
        ),
        ({"apps.detector.rulesConfigMap": "y", "apps.detector.onRulesChange": "roll"}, ("onRulesChange is roll",)),
        ({"apps.detector.onRulesChange": "restart"}, ("apps/detector/onRulesChange",)),
        ({"apps.ingest.rules": "x"}, ("apps/ingest", "rules")),
        ({"apps.alerter.webhook.existingSecret": "x"}, ("without apps.alerter.webhook.url",)),
        ({"monitoring.scrape": "podMonitor"}, ("monitoring/scrape", "PodMonitor")),
        ({"archive.verify.schedule": "daily"}, ("archive/verify/schedule",)),
        ({"apps.detector.persistence.size": "10 GB"}, ("apps/detector/persistence/size",)),
        ({"autoscalling.enabled": True}, ("autoscalling",)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_mistake_is_refused_by_its_name(helm: Helm, changes: dict[str, Any], words: tuple[str, ...]) -> None:
    told = helm.refused(*sets(SMALLEST | changes))
    assert all(word in told for word in words), told
    assert "hunter2" not in told


def test_the_release_is_the_programs(helm: Helm) -> None:
    chart = yaml.safe_load(helm.run("show", "chart", CHART).stdout)
    project = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text())["project"]["version"]
    assert chart["appVersion"] == chart["version"] == project


def test_names_stay_within_what_kubernetes_takes(helm: Helm) -> None:
    longest = "a-release-with-a-name-of-53-characters-as-helm-allows"
    archive = {"archive.compact.enabled": True, "archive.verify.enabled": True}
    manifests = helm.template(*sets(SMALLEST | archive), release=longest)
    assert len(longest) == 53
    assert max(len(each["metadata"]["name"]) for each in manifests if each["kind"] == "CronJob") <= 52
    assert max(len(each["metadata"]["name"]) for each in manifests) <= 63 - len("-0123456789")  # with what controllers append
