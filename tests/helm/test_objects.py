"""What the chart renders: accepted by Kubernetes."""

from __future__ import annotations

import functools
import json

import kubernetes_validate
import pytest
from kubernetes_validate import utils as kubernetes_schemas
from manifests import fits, one
from rendering import CHART, SMALLEST, Example, Helm, Manifest, every_example, sets

CUSTOM = ("keda.sh", "monitoring.coreos.com")


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


@every_example
def test_every_custom_resource_fits_its_definition(example: Example, name: str, definitions: dict[str, Manifest]) -> None:
    found = [manifest for manifest in example(name) if manifest["apiVersion"].startswith(CUSTOM)]
    assert found or name in ("laptop", "openshift", "strimzi-tls")
    for manifest in found:
        fits(manifest, definitions)


def test_names_stay_within_what_kubernetes_takes(helm: Helm) -> None:
    longest = "a-release-with-a-name-of-53-characters-as-helm-allows"
    archive = {"archive.compact.enabled": True, "archive.verify.enabled": True}
    manifests = helm.template(*sets(SMALLEST | archive), release=longest)
    assert len(longest) == 53
    assert max(len(each["metadata"]["name"]) for each in manifests if each["kind"] == "CronJob") <= 52
    assert max(len(each["metadata"]["name"]) for each in manifests) <= 63 - len("-0123456789")  # with what controllers append
