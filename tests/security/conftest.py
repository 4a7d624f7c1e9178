"""A broker that speaks SASL_SSL and denies what no rule allows; the other servers behind TLS. Certificates are the test's own."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit, urlunsplit

import pytest
import trustme
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from gridpulse_native import Stack
from gridpulse_native.ports import LOOPBACK
from gridpulse_native.provision.provisioner import Provisioner
from gridpulse_native.provision.recipes import KAFKA
from gridpulse_native.servers.kafka import Kafka, libraries_on_path
from gridpulse_native.servers.local import LocalServer, Site
from gridpulse_native.servers.product import Command
from gridpulse_native.settings import NativeSettings
from gridpulse_runtime.access import allow
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas.access import ACCESS

PRINCIPAL = "User:gridpulse-{program}"
ITERATIONS = 4096


@dataclass(frozen=True)
class SecuredKafka(Kafka):
    """`broker` is SASL_SSL with SCRAM. `internal` is plaintext, and its anonymous user may do everything: the broker itself."""

    port_names: ClassVar[tuple[str, ...]] = ("broker", "controller", "internal")

    @property
    def internal(self) -> str:
        return f"{LOOPBACK}:{self.ports['internal']}"

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    def server_properties(self) -> str:
        settings = dict(line.split("=", 1) for line in super().server_properties().splitlines())
        listeners = f"SASL_SSL://{self.host_port},INTERNAL://{self.internal}"
        settings |= {
            "listeners": f"{listeners},CONTROLLER://{LOOPBACK}:{self.ports['controller']}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "SASL_SSL:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "INTERNAL",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.directory / "server.pem",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            "super.users": "User:ANONYMOUS",
        }
        return "".join(f"{key}={value}\n" for key, value in settings.items())

    def prepare(self, installation: Path) -> tuple[Command, ...]:
        """Write certificate and key, PKCS #8 as Kafka reads it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        certificate = authority.issue_cert(LOOPBACK)
        authority.cert_pem.write_to_path(str(self.ca))
        key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
        parts = [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())]
        parts += [blob.bytes() for blob in certificate.cert_chain_pems]
        (self.directory / "server.pem").write_bytes(b"".join(parts))
        return super().prepare(installation)

    def answers(self) -> bool:
        client = AdminClient({"bootstrap.servers": self.internal, "log_level": 0, "socket.timeout.ms": 2000})
        try:
            return bool(client.list_topics(timeout=2).brokers)
        except KafkaException:
            return False


class TlsProxy:
    """Ends TLS before a server that speaks none."""

    def __init__(self, url: str, certificate: trustme.LeafCert) -> None:
        address = urlsplit(url)
        self._target = (address.hostname, address.port)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self._context)
        self._listener = socket.create_server((LOOPBACK, 0))
        self.url = urlunsplit(("https", f"{LOOPBACK}:{self._listener.getsockname()[1]}", address.path, "", ""))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=self._listener.accept()[:1], daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError):
            client = self._context.wrap_socket(plain, server_side=True)
            server = socket.create_connection(self._target, 10)
            back = threading.Thread(target=carry, args=(server, client), daemon=True)
            back.start()
            carry(client, server)
            back.join()
            client.close()
            server.close()


def carry(source: socket.socket, target: socket.socket) -> None:
    """Bytes one way until their end."""
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class Secured:
    """The secured pipeline: variables by which a program finds it, as the principal of its own."""

    def __init__(self, kafka: SecuredKafka, servers: dict[str, str], folder: Path) -> None:
        self.kafka, self._servers, self._folder = kafka, servers, folder
        self.admin = AdminClient({"bootstrap.servers": kafka.internal})

    def add_user(self, program: str) -> None:
        """Make the user of `program`; its password is in a file, as a secret is mounted."""
        self._password(program).write_text(f"password of {program}\n")
        credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS)
        change = UserScramCredentialUpsertion(f"gridpulse-{program}", credential, f"password of {program}".encode())
        for done in self.admin.alter_user_scram_credentials([change]).values():
            done.result(30)

    def variables(self, program: str) -> dict[str, str]:
        return {
            **self._servers,
            "GRIDPULSE_KAFKA_BOOTSTRAP": self.kafka.address,
            "GRIDPULSE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "GRIDPULSE_KAFKA_SASL_USERNAME": f"gridpulse-{program}",
            "GRIDPULSE_KAFKA_SASL_PASSWORD_FILE": str(self._password(program)),
            "GRIDPULSE_KAFKA_SSL_CA_LOCATION": str(self.kafka.ca),
            "GRIDPULSE_TLS_CA": str(self._folder / "web-ca.pem"),
            "GRIDPULSE_CONSUMER_GROUP": "",
        }

    def client(self, program: str) -> dict[str, object]:
        """librdkafka settings of `program`."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.variables(program).items():
                patch.setenv(name, value)
            return {**KafkaSettings().kafka_client(), "log_level": 0}

    def _password(self, program: str) -> Path:
        return self._folder / f"{program}.password"


@pytest.fixture(scope="module")
def secured(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    settings, cancel = NativeSettings.from_environment(None), threading.Event()
    say = lambda line: sys.stderr.write(f"[secured] {line}\n")  # noqa: E731
    installation = Provisioner(settings, say).provide(KAFKA, lambda: libraries_on_path(os.environ.get("PATH")))
    server = LocalServer(SecuredKafka, Site(folder, settings, say, cancel), installation)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "web-ca.pem"))
    plain = stack.environment()
    names = ("GRIDPULSE_SCHEMA_REGISTRY_URL", "GRIDPULSE_S3_ENDPOINT", "GRIDPULSE_INFLUX_URL")
    proxies = {name: TlsProxy(plain[name], authority.issue_cert(LOOPBACK)) for name in names}
    server.start()
    try:
        one = Secured(server._product, {**plain, **{name: proxy.url for name, proxy in proxies.items()}}, folder)
        for program in ACCESS:
            one.add_user(program)
        allow(KafkaSettings(kafka_bootstrap=one.kafka.internal), PRINCIPAL, ACCESS)
        yield one
    finally:
        server.stop()
        for proxy in proxies.values():
            proxy.close()
