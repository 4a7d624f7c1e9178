"""What the chart renders: safe."""

from __future__ import annotations

import re
from collections.abc import Iterator

from manifests import APPS, component, one, pods
from rendering import Example, Manifest, Plain, every_example


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
