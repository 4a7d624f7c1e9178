"""HTTP to what runs on this machine, through one client: each that is made reads the machine's authorities, 40 ms of CPU."""

import ssl

import httpx

__all__ = ["HTTP"]

HTTP = httpx.Client(
    verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # with no authority at all
    trust_env=False,
    limits=httpx.Limits(max_keepalive_connections=0),  # what answers may be killed and started again
)
"""For any thread."""
