"""Settings that are wrong: one line that names the variable, exit code 2, and no secret on the screen."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field, SecretStr, ValidationError

from gridpulse_runtime.settings import BAD_SETTINGS, AppSettings, load


class Settings(AppSettings):
    """An app with secrets of its own."""

    s3_secret_key: SecretStr | None = Field(None, min_length=8)
    influx_token: SecretStr | None = Field(None, min_length=8)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    import os  # noqa: PLC0415

    for name in os.environ:
        if name.startswith("GRIDPULSE_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("METRICS_PORT", "70000", ["65535", "'70000'"]),
        ("METRICS_PORT", "http", ["integer", "'http'"]),
        ("COMMIT_INTERVAL", "0", ["greater than 0", "'0'"]),
        ("KAFKA_SECURITY_PROTOCOL", "TLS", ["'PLAINTEXT'", "'SASL_SSL'", "'TLS'"]),
        ("PROCESSING_GUARANTEE", "twice", ["'at-least-once'", "'exactly-once'", "'twice'"]),
        ("SCHEMA_REGISTRY_URL", "registry:8080", ["https?://", "'registry:8080'"]),
        ("LOG_FORMAT", "xml", ["'json'", "'xml'"]),
    ],
)
def test_the_line_names_the_variable_what_was_expected_and_what_came(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, value: str, words: list[str]
) -> None:
    monkeypatch.setenv(f"GRIDPULSE_{variable}", value)
    with pytest.raises(SystemExit) as caught:
        load(Settings)
    assert caught.value.code == BAD_SETTINGS == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"GRIDPULSE_{variable}: ")
    for word in words:
        assert word in line


@pytest.mark.parametrize("variable", ["S3_SECRET_KEY", "INFLUX_TOKEN"])
@pytest.mark.parametrize("suffix", ["", "_FILE"])
def test_a_wrong_secret_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, variable: str, suffix: str
) -> None:
    path = tmp_path / "secret"
    path.write_text("hunter2\n")
    name = f"GRIDPULSE_{variable}"
    monkeypatch.setenv(name + suffix, str(path) if suffix else "hunter2")
    with pytest.raises(SystemExit):
        load(Settings)
    line = capsys.readouterr().err
    assert line.startswith(name)
    assert "hunter2" not in line


def test_secrets_come_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("p w\n")
    monkeypatch.setenv("GRIDPULSE_KAFKA_SASL_PASSWORD_FILE", str(path))
    monkeypatch.setenv("GRIDPULSE_KAFKA_SASL_USERNAME", "me")
    monkeypatch.setenv("GRIDPULSE_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    settings = load(Settings)
    assert settings.kafka_client()["sasl.password"] == "p w"
    assert "p w" not in repr(settings)


def test_the_variable_itself_wins_over_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("from the file")
    monkeypatch.setenv("GRIDPULSE_INFLUX_TOKEN_FILE", str(path))
    monkeypatch.setenv("GRIDPULSE_INFLUX_TOKEN", "from the variable")
    token = load(Settings).influx_token
    assert token is not None
    assert token.get_secret_value() == "from the variable"


def test_a_secret_file_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("GRIDPULSE_INFLUX_TOKEN_FILE", str(tmp_path / "gone"))
    with pytest.raises(SystemExit) as caught:
        load(Settings)
    assert caught.value.code == BAD_SETTINGS
    line = capsys.readouterr().err
    assert line.startswith("GRIDPULSE_INFLUX_TOKEN_FILE: cannot read")
    assert "gone" in line


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDPULSE_METRICS_PORT", "")
    assert load(Settings).metrics_port == 0


def test_settings_do_not_change() -> None:
    settings = load(Settings)
    with pytest.raises(ValidationError, match="frozen"):
        settings.metrics_port = 1  # type: ignore[misc]


def test_a_plain_connection_carries_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDPULSE_KAFKA_SASL_PASSWORD", "unused")
    client = load(Settings).kafka_connection()
    assert client == {"bootstrap.servers": "127.0.0.1:9092", "security.protocol": "plaintext"}


def test_tls_with_a_client_certificate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRIDPULSE_KAFKA_SECURITY_PROTOCOL", "SSL")
    for name in ("CA", "CERTIFICATE", "KEY"):
        (tmp_path / f"{name}.pem").touch()
        monkeypatch.setenv(f"GRIDPULSE_KAFKA_SSL_{name}_LOCATION", str(tmp_path / f"{name}.pem"))
    client = load(Settings).kafka_client()
    assert client["security.protocol"] == "ssl"
    assert client["ssl.ca.location"] == str(tmp_path / "CA.pem")
    assert client["ssl.certificate.location"] == str(tmp_path / "CERTIFICATE.pem")
    assert client["ssl.key.location"] == str(tmp_path / "KEY.pem")


@pytest.mark.parametrize("name", ["TLS_CA", "KAFKA_SSL_CA_LOCATION"])
def test_a_certificate_file_that_is_not_there(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"GRIDPULSE_{name}", "/nowhere/ca.pem")
    with pytest.raises(SystemExit, match="2"):
        load(Settings)
    assert f"GRIDPULSE_{name}: Path does not point to a file" in capsys.readouterr().err


def test_a_replica_that_has_a_name_is_waited_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a restart of the only broker; another must go before its partitions are given away."""
    assert load(AppSettings).session_seconds == 6
    monkeypatch.setenv("GRIDPULSE_INSTANCE_ID", "0")
    assert load(AppSettings).session_seconds == 45
    monkeypatch.setenv("GRIDPULSE_SESSION_TIMEOUT", "20")
    assert load(AppSettings).session_seconds == 20
