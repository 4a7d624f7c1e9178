"""Makes the stack's secrets at random, once, one file each: what is there is kept. The folders are volumes, one a reader.

A secret of your own: put the file there before the first start (README.md).
"""

import base64
import json
import secrets
import sys
from pathlib import Path

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else "/secrets")


def made(name: str, content: str) -> str:
    """Content of the secret `name`: what is there, else `content`, written so that a crash leaves no half of it."""
    path = ROOT / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.write_text(content, "utf-8")
        # Each server has a user of its own, known only inside its image. Who may read is decided by who mounts the volume.
        draft.chmod(0o444)
        draft.replace(path)
        sys.stdout.write(f"made {name}\n")
    return path.read_text("utf-8").strip()


def main() -> None:
    """All of them."""
    made("influxdb/password", secrets.token_urlsafe(24))
    made("influxdb/token", secrets.token_urlsafe(48))
    access = made("s3/access_key", secrets.token_hex(10))
    secret = made("s3/secret_key", secrets.token_urlsafe(30))
    identity = {
        "name": "gridpulse",
        "credentials": [{"accessKey": access, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    made("s3/seaweedfs.json", json.dumps({"identities": [identity]}))
    made("webhook/secret", "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode())
    made("grafana/admin_password", secrets.token_urlsafe(18))


if __name__ == "__main__":
    main()
