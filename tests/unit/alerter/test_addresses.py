"""A webhook URL is no way into the network: what is resolved is checked, and what was checked is connected to."""

import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from gridpulse_alerter.addresses import GuardedTransport, is_public, private_host
from gridpulse_runtime.errors import UnavailableError

Names = Callable[..., list[str]]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",  # noqa: S104
        "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:169.254.169.254", "64:ff9b::a00:1", "2002:a00:1::",
    ],
)  # fmt: skip
def test_private(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_is_the_same_in_every_disguise(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    disguised = [ipaddress.IPv6Address((0xFFFF << 32) | number), ipaddress.IPv6Address((0x64FF9B << 96) | number)]
    assert {is_public(str(address)), *(is_public(str(one)) for one in disguised)} == {is_public(str(address))}


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Let a name resolve to one list of addresses after the other; returns the names that were asked for."""
    real = socket.getaddrinfo

    def answer(**given_names: list[list[str]]) -> list[str]:
        asked: list[str] = []

        def getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
            addresses = given_names.get(str(host).partition(".")[0])
            if addresses is None:
                return real(host, port, *arguments, **options)
            asked.append(host)
            return [entry for address in addresses.pop(0) for entry in real(address, port, *arguments, **options)]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return answer


def post(url: str, *, allow_private: bool) -> httpx.Response:
    with httpx.Client(transport=GuardedTransport(allow_private=allow_private)) as client:
        return client.post(url, content=b"")


def test_a_name_that_leads_inside_is_not_connected_to(server: Any, names: Names) -> None:
    names(hooks=[["127.0.0.1"], ["10.0.0.1", "::1"]])
    for _ in range(2):
        with pytest.raises(UnavailableError, match="private address"):
            post(f"http://hooks.example:{server.port}/", allow_private=False)
    assert server.requests == []


def test_the_address_that_was_checked_is_the_one_connected_to(server: Any, names: Names) -> None:
    """A second look-up would find another address: rebinding."""
    asked = names(hooks=[["127.0.0.1"], ["192.0.2.1"]])
    assert post(f"http://hooks.example:{server.port}/", allow_private=True).status_code == 204
    assert asked == ["hooks.example"]
    assert server.requests[0][0]["host"] == f"hooks.example:{server.port}"


def test_a_mixed_answer_leads_to_public_addresses_only(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def handle(self: object, request: httpx.Request) -> httpx.Response:
        tried.append(request.url.host)
        raise httpx.ConnectError("nobody")

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    names(hooks=[["127.0.0.1", "8.8.8.8", "9.9.9.9"]] * 3)
    with httpx.Client(transport=GuardedTransport(allow_private=False)) as client:
        for _ in range(3):
            with pytest.raises(httpx.ConnectError):
                client.post("http://hooks.example/")
    assert tried == ["8.8.8.8", "9.9.9.9", "8.8.8.8"], "another one after a failure"


def test_what_does_not_resolve_is_waited_for() -> None:
    with pytest.raises(UnavailableError, match="cannot be resolved"):
        post("http://nobody.invalid/", allow_private=False)
    assert not private_host("nobody.invalid")
    assert private_host("localhost")


def test_proxies_of_the_environment_do_not_see_it(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:9")
    assert post(server.url, allow_private=True).status_code == 204


@pytest.mark.parametrize(("named", "fits"), [("hooks.example", True), ("other.example", False)])
def test_certificates_are_checked_against_the_name(
    server: Any, names: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, fits: bool
) -> None:
    asked = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path / "tls.pem", named))
    context.sni_callback = lambda _socket, name, _context: asked.append(name)  # type: ignore[assignment]
    server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls.pem"))
    names(hooks=[["127.0.0.1"]])
    if fits:
        assert post(f"https://hooks.example:{server.port}/", allow_private=True).status_code == 204
    else:
        with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
            post(f"https://hooks.example:{server.port}/", allow_private=True)
    assert asked == ["hooks.example"]


def certificate(path: Path, name: str) -> Path:
    """A self-signed certificate for `name`, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path
