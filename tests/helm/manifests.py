"""What is in the manifests, and whether one fits its definition. Imported by the tests beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
from rendering import Manifest

APPS = ("ingest", "detector", "influx-sink", "archiver", "alerter")
WORKLOADS = ("Deployment", "StatefulSet", "Job", "CronJob")


def pod_of(manifest: Manifest) -> Manifest | None:
    """Pod template of a workload."""
    spec = manifest.get("spec", {})
    return spec.get("jobTemplate", {}).get("spec", spec).get("template") if manifest["kind"] in WORKLOADS else None


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


def fits(manifest: Manifest, definitions: dict[str, Manifest]) -> None:
    version = manifest["apiVersion"].split("/")[1]
    versions = definitions[manifest["kind"]]["spec"]["versions"]
    (schema,) = (each["schema"]["openAPIV3Schema"] for each in versions if each["name"] == version)
    jsonschema.Draft202012Validator(strict(schema)).validate(manifest)
