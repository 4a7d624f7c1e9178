"""Settings: one frozen class an app, read from GRIDPULSE_* variables, checked before anything starts."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, FilePath, SecretStr, StringConstraints, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

__all__ = ["BAD_SETTINGS", "CLIENT", "PREFIX", "AppSettings", "KafkaSettings", "load"]

PREFIX = "GRIDPULSE_"
BAD_SETTINGS = 2
"""Exit code of a process whose settings are wrong."""
CLIENT = {"reconnect.backoff.max.ms": 1000}
"""Librdkafka's 10 s keep clients away from a broker that is long back."""
NAMED_SESSION, UNNAMED_SESSION = 45.0, 6.0
"""Seconds. Kafka's own default; and the shortest that a broker grants by default."""

HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+", strip_whitespace=True)]
Settings = TypeVar("Settings", bound=BaseSettings)


class SecretFileSource(EnvSettingsSource):
    """Takes a field from the file named by `<VARIABLE>_FILE`, as container secrets are mounted."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Content of the file, without its last newline; nothing where the variable is not set."""
        path, _, _ = super().get_field_value(field, f"{field_name}_file")
        if path is None:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            raise SystemExit(stop(f"{PREFIX}{field_name.upper()}_FILE: cannot read {path}: {error}")) from None


class KafkaSettings(BaseSettings):
    """Where Kafka and the registry are."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    kafka_bootstrap: str = Field("127.0.0.1:9092", min_length=1, description="host:port[,host:port]… of the brokers")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="how to speak to the brokers"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="SASL mechanism"
    )
    kafka_sasl_username: str | None = Field(None, description="SASL user")
    kafka_sasl_password: SecretStr | None = Field(None, description="SASL password")
    kafka_ssl_ca_location: FilePath | None = Field(None, description="CA certificate file")
    kafka_ssl_certificate_location: FilePath | None = Field(None, description="client certificate file")
    kafka_ssl_key_location: FilePath | None = Field(None, description="client key file")
    schema_registry_url: HttpUrl = Field("http://127.0.0.1:8080", description="root of the schema registry")
    schema_registry_username: str | None = Field(None, description="user of the registry, where it asks for one")
    schema_registry_password: SecretStr | None = Field(None, description="that user's password")
    tls_ca: FilePath | None = Field(
        None, description="CA certificates (PEM) for https to registry, InfluxDB and S3; the system's where not set"
    )
    log_format: Literal["auto", "json", "console"] = Field("auto", description="auto: console on a terminal, else JSON lines")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least severe line to log")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then variables, then files named by `*_FILE`."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, SecretFileSource(settings_cls)

    def https_ca(self) -> str | None:
        """File of the authority that https servers are checked by, as client libraries take it; None for the system's."""
        return str(self.tls_ca) if self.tls_ca else None

    def kafka_client(self) -> dict[str, Any]:
        """Librdkafka settings of any client."""
        return self.kafka_connection() | CLIENT

    def kafka_connection(self) -> dict[str, Any]:
        """Of them, where the brokers are and how they are spoken to."""
        settings: dict[str, Any] = {
            "bootstrap.servers": self.kafka_bootstrap,
            "security.protocol": self.kafka_security_protocol.lower(),
            "ssl.ca.location": self.kafka_ssl_ca_location and str(self.kafka_ssl_ca_location),
            "ssl.certificate.location": self.kafka_ssl_certificate_location and str(self.kafka_ssl_certificate_location),
            "ssl.key.location": self.kafka_ssl_key_location and str(self.kafka_ssl_key_location),
        }
        if self.kafka_security_protocol.startswith("SASL"):
            password = self.kafka_sasl_password
            settings |= {
                "sasl.mechanism": self.kafka_sasl_mechanism,
                "sasl.username": self.kafka_sasl_username,
                "sasl.password": password and password.get_secret_value(),
            }
        return {name: value for name, value in settings.items() if value is not None}


class AppSettings(KafkaSettings):
    """What every stream app reads besides."""

    consumer_group: str | None = Field(None, description="consumer group; gridpulse-<app> where not set")
    instance_id: str | None = Field(
        None, description="stable name of this replica (group.instance.id): a restart keeps its partitions"
    )
    processing_guarantee: Literal["at-least-once", "exactly-once"] = Field(
        "at-least-once",
        description="exactly-once uses Kafka transactions; effects are exactly-once either way",
    )
    state_dir: Path = Field(Path("state"), description="folder for RocksDB state, one below it for each app")
    metrics_port: int = Field(0, ge=0, le=65535, description="port of /metrics, /livez and /readyz; 0 for none")
    metrics_host: str = Field("127.0.0.1", description="address that port listens on")
    commit_interval: float = Field(10.0, gt=0, le=300, description="seconds between checkpoints")
    session_timeout: float | None = Field(
        None,
        ge=1,
        le=300,
        description="seconds until Kafka gives up a silent replica; 45 with an instance id, which returns to its place, else 6",
    )

    @property
    def session_seconds(self) -> float:
        """Session timeout in effect. One that takes its place again can be waited for, through a restart of Kafka too."""
        if self.session_timeout is not None:
            return self.session_timeout
        return NAMED_SESSION if self.instance_id else UNNAMED_SESSION


def load(settings: type[Settings], **overrides: Any) -> Settings:
    """Read and check `settings`; on the first wrong variable prints one line that names it and exits with code 2."""
    try:
        return settings(**overrides)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = "_".join(str(part) for part in first["loc"][:1]).upper()
        secret = any(word in name for word in ("PASSWORD", "TOKEN", "SECRET", "KEY"))
        # The input of a missing field is everything else, secrets among it.
        shown = "nothing" if first["type"] == "missing" else "a secret" if secret else repr(first["input"])
        raise SystemExit(stop(f"{PREFIX}{name}: {first['msg']} (got {shown})")) from None


def stop(message: str) -> int:
    """Print `message` as the one line a wrong setting gives; the exit code that goes with it."""
    sys.stderr.write(f"{message}\n")
    return BAD_SETTINGS
