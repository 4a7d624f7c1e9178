"""What the chart renders: in agreement with the apps, and with itself."""

from __future__ import annotations

import importlib
import json
import tomllib

import yaml
from manifests import APPS, WORKLOADS, component, pod_of, pods
from rendering import CHART, NAMES, Example, Helm, Manifest, Plain, every_example

from gridpulse_ingest.settings import IngestSettings
from gridpulse_runtime.object_store import ObjectStoreSettings
from gridpulse_runtime.settings import PREFIX, AppSettings, KafkaSettings


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


def test_numbers_are_written_as_people_do(example: Example) -> None:
    environment = {
        each["name"]: each.get("value") for name, _, c in pods(example("production")) if name == "archiver" for each in c["env"]
    }
    assert environment["GRIDPULSE_ARCHIVE_ROWS"] == "2000000"


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


def selects(selector: dict[str, str], manifest: Manifest) -> bool:
    template = pod_of(manifest)
    return template is not None and selector.items() <= template["metadata"]["labels"].items()


def test_the_release_is_the_programs(helm: Helm) -> None:
    chart = yaml.safe_load(helm.run("show", "chart", CHART).stdout)
    project = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text())["project"]["version"]
    assert chart["appVersion"] == chart["version"] == project
