"""The access manifest against the topics, and against what the apps ask for."""

import subprocess
import sys
from pathlib import Path

import pytest

from gridpulse_runtime.access import commands
from gridpulse_schemas.access import ACCESS, Grant
from gridpulse_schemas.topics import TOPICS

APPS = {folder.name for folder in (Path(__file__).parents[2] / "apps").iterdir() if (folder / "pyproject.toml").exists()}
every_program = pytest.mark.parametrize("program", ACCESS)


def test_every_app_is_in_it() -> None:
    assert set(ACCESS) >= APPS


@every_program
def test_it_names_topics_of_the_manifest(program: str) -> None:
    named = {grant.name for grant in ACCESS[program] if grant.resource == "topic" and not grant.prefixed}
    assert named <= set(TOPICS)


@every_program
def test_nothing_is_granted_by_an_empty_or_a_wild_name(program: str) -> None:
    assert not [grant for grant in ACCESS[program] if len(grant.name) < 7 or "*" in grant.name]


@pytest.mark.parametrize("app", sorted(APPS))
def test_groups_are_those_of_the_app_alone(app: str) -> None:
    groups = {grant.name for grant in ACCESS[app] if grant.resource == "group"}
    assert groups == {f"gridpulse-{app}"}


@every_program
def test_only_setup_makes_topics_of_the_manifest(program: str) -> None:
    made = {grant for grant in ACCESS[program] if grant.operation == "CREATE" and not grant.prefixed}
    assert bool(made) == (program == "setup")


def test_rules_as_commands() -> None:
    lines = commands("kafka:9093", "User:{program}", ["ingest"])
    assert len(lines) == len(ACCESS["ingest"])
    assert Grant("topic", "meter.readings", "READ") in ACCESS["ingest"]
    start = "kafka-acls.sh --bootstrap-server kafka:9093 --add --allow-principal User:ingest"
    assert f"{start} --operation Read --topic meter.readings" in lines
    assert f"{start} --operation Read --group gridpulse-ingest --resource-pattern-type prefixed" in lines


def test_the_command_prints_them_and_knows_its_programs() -> None:
    command = Path(sys.executable).parent / "gridpulse-ingest"
    printed = subprocess.run([command, "acls", "--print", "explain"], capture_output=True, text=True, timeout=120, check=True)
    assert len(printed.stdout.splitlines()) == len(ACCESS["explain"])
    refused = subprocess.run([command, "acls", "nobody"], capture_output=True, text=True, timeout=120, check=False)
    assert refused.returncode == 2
    assert "no such program: nobody" in refused.stderr
