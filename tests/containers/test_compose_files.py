"""The compose files as their readers see them. Nothing is started here."""

import json
import os
import re
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gridpulse_native.errors import MissingToolError
from gridpulse_native.provision.provisioner import Provisioner
from gridpulse_native.provision.recipes import COMPOSE_SPEC
from gridpulse_native.settings import NativeSettings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "compose"
APPS = ("ingest", "detector", "influx-sink", "archiver", "alerter")
LAYERS = ("compose.yaml", "observability.yaml", "demo.yaml", "seaweedfs.yaml")
STACKS = (("compose.yaml",), LAYERS[:3], ("compose.yaml", "seaweedfs.yaml"), LAYERS)
ONE_SHOT = {"secrets"}
WITHOUT_HEALTH = {"secrets", "generator"}


def variables() -> dict[str, str]:
    lines = (line for line in (COMPOSE / ".env").read_text("utf-8").splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def text(layer: str) -> str:
    """The layer with its variables in place; a KeyError where .env has one not."""
    content = (COMPOSE / layer).read_text("utf-8").replace("$$", "$$$$")
    return string.Template(content).substitute(variables())


@pytest.fixture(scope="module")
def compose_spec() -> Path:
    """The reader that `docker compose` has, built from its module (half a minute, once)."""
    try:
        return Provisioner(NativeSettings.from_environment(), print).build(COMPOSE_SPEC) / "compose-spec"
    except MissingToolError as error:
        pytest.skip(str(error))


def load(reader: Path, folder: Path, layers: tuple[str, ...]) -> dict[str, Any]:
    """The layers as `docker compose config` would show them."""
    for layer in layers:
        (folder / layer).write_text(text(layer))
    done = subprocess.run([reader, "-format", "json", *layers], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return dict(json.loads(done.stdout))


def environment(service: dict[str, Any]) -> dict[str, str]:
    """Variables of a service: layers that are merged make a list of them."""
    given = service.get("environment") or {}
    pairs = given.items() if isinstance(given, dict) else (entry.split("=", 1) for entry in given)
    return {name: str(value) for name, value in pairs}


def megabytes(text: str) -> float:
    return float(text[:-1]) * {"m": 1, "g": 1024}[text[-1]]


@pytest.fixture(params=STACKS, ids=lambda layers: "+".join(name.removesuffix(".yaml") for name in layers))
def stack(request: pytest.FixtureRequest, compose_spec: Path, tmp_path: Path) -> dict[str, Any]:
    return load(compose_spec, tmp_path, request.param)


def test_a_mistake_is_found(compose_spec: Path, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {one: {image: a:1, depend_on: [two]}}")
    done = subprocess.run([compose_spec, "compose.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "depend_on" in done.stderr


def test_what_up_starts_is_there() -> None:
    own = variables()
    assert own["COMPOSE_FILE"].split(own["COMPOSE_PATH_SEPARATOR"]) == list(LAYERS[:3])
    assert set(yaml.safe_load(text("compose.yaml"))["services"]) == {"secrets", "kafka", "apicurio", "influxdb", "s3", *APPS}


def test_every_image_is_pinned_and_stands_in_env(stack: dict[str, Any]) -> None:
    own = variables()
    pinned = {value for name, value in own.items() if name.endswith("_IMAGE")}
    ours = f"{own['GRIDPULSE_REGISTRY']}/"
    for name, service in stack["services"].items():
        image = service["image"]
        tag = image.rpartition(":")[2]
        assert "latest" not in tag, name
        assert re.search(r"\d+\.\d+|\d{4}-\d\d-\d\d", tag), f"{name}: {image} does not name a version"
        if image.startswith(ours):
            assert service["build"]["args"]["APP"] in image, name
            assert image.endswith(f":{own['GRIDPULSE_VERSION']}"), name
        else:
            assert image in pinned, f"{name}: {image} is not in .env"
            assert image.split("/")[0] in ("docker.io", "ghcr.io"), f"{name}: {image} leaves its registry to the engine"


def test_no_image_or_port_hides_outside_of_env() -> None:
    for layer in LAYERS:
        content = (COMPOSE / layer).read_text("utf-8")
        assert not re.findall(r"image:\s*[^$\s]", content), layer
        ports = [port for service in yaml.safe_load(content)["services"].values() for port in service.get("ports", [])]
        assert all(re.fullmatch(r"\$\{BIND_ADDRESS\}:\$\{\w+_PORT\}:\d+", port) for port in ports), f"{layer}: {ports}"


def test_the_version_is_the_projects() -> None:
    for project in ROOT.glob("apps/*/pyproject.toml"):
        assert f'version = "{variables()["GRIDPULSE_VERSION"]}"' in project.read_text("utf-8"), project


def test_ports_are_open_to_this_machine_only_and_each_once(stack: dict[str, Any]) -> None:
    ports = [port for service in stack["services"].values() for port in service.get("ports", [])]
    assert ports
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    assert len({port["published"] for port in ports}) == len(ports)


def test_every_service_has_a_health_check_limits_and_an_end_to_its_logs(stack: dict[str, Any]) -> None:
    for name, service in stack["services"].items():
        check = service["healthcheck"]
        assert bool(check.get("disable")) is (name in WITHOUT_HEALTH), name
        assert check.get("test") or name in WITHOUT_HEALTH, name
        limits = service["deploy"]["resources"]["limits"]
        assert megabytes(limits["memory"]) >= 64, name
        assert float(limits["cpus"]) > 0, name
        assert service["restart"] == ("no" if name in ONE_SHOT else "unless-stopped"), name
        assert name in ONE_SHOT or service["logging"]["options"]["max-size"], name


def test_what_starts_before_others_can_be_waited_for(stack: dict[str, Any]) -> None:
    for name, service in stack["services"].items():
        for needed, how in service.get("depends_on", {}).items():
            other = stack["services"][needed]
            wanted = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
            assert how["condition"] == wanted, f"{name} after {needed}"
            assert needed in ONE_SHOT or other["healthcheck"]["test"], f"{name} waits for {needed}"
    for app in APPS:
        assert {"kafka", "apicurio"} <= set(stack["services"][app]["depends_on"]), app


def test_our_containers_are_shut_in(stack: dict[str, Any]) -> None:
    ours = [name for name in (*APPS, "generator", "receiver") if name in stack["services"]]
    for name in ours:
        service = stack["services"][name]
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["tmpfs"] == ["/tmp"], name
        assert "user" not in service, name  # the image's own, which is not root


def test_an_app_can_be_had_several_times(stack: dict[str, Any]) -> None:
    for app in APPS:
        service = stack["services"][app]
        assert "container_name" not in service, app
        assert "ports" not in service, app
        assert "hostname" not in service, app
        # podman-compose would give all replicas the same volume, were one asked for here.
        assert "/state" not in [volume["target"] for volume in service.get("volumes", [])], app
    assert "\nVOLUME /state\n" in (COMPOSE / "Dockerfile").read_text("utf-8")


def test_no_secret_is_a_value(stack: dict[str, Any]) -> None:
    secret = re.compile(r"PASSWORD|TOKEN|SECRET|ACCESS_KEY|ROOT_USER")
    for name, service in stack["services"].items():
        for variable, value in environment(service).items():
            if secret.search(variable):
                assert variable.endswith("_FILE"), f"{name}: {variable}"
                assert value.startswith("/run/secrets/"), f"{name}: {variable}"
                mounted = [volume["target"] for volume in service["volumes"] if volume.get("read_only")]
                assert any(value.startswith(f"{target}/") for target in mounted), f"{name}: {variable} is not mounted"


def test_data_is_in_named_volumes_that_are_declared(stack: dict[str, Any]) -> None:
    used = {
        volume["source"]
        for service in stack["services"].values()
        for volume in service.get("volumes", [])
        if volume["type"] == "volume" and volume.get("source")
    }
    assert used <= set(stack["volumes"])
    assert {"kafka-data", "influxdb-data", "s3-secrets"} <= used


def test_files_that_are_mounted_are_there() -> None:
    given = {"../dashboards/prometheus/rules", "../dashboards/provisioning", "../dashboards/grafana"}
    for layer in LAYERS:
        for source in re.findall(r"^\s+- (\.{1,2}/[^:]+):", (COMPOSE / layer).read_text("utf-8"), re.MULTILINE):
            assert source in given or (COMPOSE / source).is_file(), f"{layer}: {source}"


def test_prometheus_looks_at_every_app() -> None:
    jobs = {job["job_name"]: job for job in yaml.safe_load((COMPOSE / "prometheus.yml").read_text("utf-8"))["scrape_configs"]}
    for app in APPS:
        assert jobs[f"gridpulse-{app}"]["dns_sd_configs"][0]["names"] == [app]


def secrets_in(folder: Path) -> dict[str, str]:
    subprocess.run([sys.executable, "-I", COMPOSE / "make_secrets.py", folder], check=True, capture_output=True)
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def test_secrets_are_made_once_and_differ_from_machine_to_machine(tmp_path: Path) -> None:
    one, other = secrets_in(tmp_path / "one"), secrets_in(tmp_path / "other")
    assert one.keys() == other.keys()
    assert all(one[name] != other[name] and len(one[name]) >= 20 for name in one)
    assert secrets_in(tmp_path / "one") == one


def test_a_secret_of_ones_own_is_kept(tmp_path: Path) -> None:
    (tmp_path / "s3").mkdir()
    (tmp_path / "s3/secret_key").write_text("from the vault\n")
    made = secrets_in(tmp_path)
    assert made["s3/secret_key"] == "from the vault\n"
    assert json.loads(made["s3/seaweedfs.json"])["identities"][0]["credentials"][0]["secretKey"] == "from the vault"


def test_every_secret_a_service_names_is_made(stack: dict[str, Any], tmp_path: Path) -> None:
    made = {f"/run/secrets/{name}" for name in secrets_in(tmp_path / "made")}
    for name, service in stack["services"].items():
        words = [*environment(service).values(), *(service.get("command") or [])]
        for word in words:
            for path in re.findall(r"/run/secrets/\S+", word):
                assert path in made, f"{name}: {path}"


def test_an_app_reads_secrets_as_they_are_made(tmp_path: Path) -> None:
    secrets_in(tmp_path)
    environment = {**os.environ, "GRIDPULSE_WEBHOOK_SECRET_FILE": str(tmp_path / "webhook/secret")}
    code = "from gridpulse_alerter.settings import AlerterSettings as S; print(S().webhook_secret.get_secret_value())"
    shown = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
    assert shown.strip() == (tmp_path / "webhook/secret").read_text()
