"""Connecting only to public addresses: a webhook URL must not become a way into the network the alerter runs in.

The name is resolved and checked for each request, and the connection goes to the very address that was checked: a name that
resolves differently a moment later (DNS rebinding) gains nothing. Certificates are checked against the name.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import httpx

from gridpulse_runtime.errors import UnavailableError

__all__ = ["GuardedTransport", "is_public", "private_host"]

NAT64 = ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IP address is reachable from the whole internet; an IPv4 address inside an IPv6 one is what counts."""
    found = ip_address(address.partition("%")[0])
    counts = (isinstance(found, IPv6Address) and _inner(found)) or found
    return counts.is_global and not counts.is_multicast


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


def resolve(host: str, port: int) -> list[str]:
    """Addresses of `host`. Raises UnavailableError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnavailableError(f"{host} cannot be resolved: {error}") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def private_host(host: str) -> bool:
    """Whether `host` resolves, now, and to nothing public."""
    try:
        addresses = resolve(host, 0)
    except UnavailableError:
        return False
    return not any(map(is_public, addresses))


class GuardedTransport(httpx.HTTPTransport):
    """Sends each request to an address of its host that is allowed, the next one after a failure to connect.

    Raises UnavailableError where there is none: who fixes the name, or allows private addresses, loses no alert. Proxies of the
    environment are not used: they would resolve names behind the check.
    """

    def __init__(self, *, allow_private: bool) -> None:
        super().__init__()
        self._allow_private = allow_private
        self._turn = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request`; raises UnavailableError, and what httpx raises."""
        host = request.url.host
        addresses = resolve(host, request.url.port or (443 if request.url.scheme == "https" else 80))
        allowed = [address for address in addresses if self._allow_private or is_public(address)]
        if not allowed:
            raise UnavailableError(f"{host} is at a private address, which is not allowed (allow_private = true lets it be)")
        request.url = request.url.copy_with(host=allowed[self._turn % len(allowed)])
        request.extensions = {**request.extensions, "sni_hostname": host}
        try:
            return super().handle_request(request)
        except httpx.ConnectError:
            self._turn += 1
            raise
