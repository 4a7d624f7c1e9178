"""Enough of an S3 client to see whether a server serves: AWS Signature Version 4 over httpx."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gridpulse_native.http import HTTP

if TYPE_CHECKING:
    import httpx

__all__ = ["S3Client"]

REGION = "us-east-1"


@dataclass(frozen=True)
class S3Client:
    """Path-style requests to one endpoint."""

    host_port: str
    access_key: str
    secret_key: str

    def request(self, method: str, path: str, body: bytes = b"") -> httpx.Response:
        """Send one signed request; `path` is `/`, `/bucket` or `/bucket/key`, unreserved characters only."""
        headers = self.signed_headers(method, path, body, datetime.now(UTC))
        return HTTP.request(method, f"http://{self.host_port}{path}", headers=headers, content=body, timeout=10)

    def signed_headers(self, method: str, path: str, body: bytes, now: datetime) -> dict[str, str]:
        """Headers with the signature, as Amazon's "Signature Version 4" describes it."""
        digest = hashlib.sha256(body).hexdigest()
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": self.host_port, "x-amz-content-sha256": digest, "x-amz-date": stamp}
        names = ";".join(headers)
        lines = [method, path, "", *(f"{name}:{value}" for name, value in headers.items()), "", names, digest]
        scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
        canonical = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        signature = self._sign(stamp[:8], f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{canonical}")
        credential = f"Credential={self.access_key}/{scope}"
        headers["authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
        return headers

    def _sign(self, day: str, text: str) -> str:
        key = f"AWS4{self.secret_key}".encode()
        for part in (day, REGION, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, text.encode(), "sha256").hex()
