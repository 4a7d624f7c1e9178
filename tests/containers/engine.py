"""Podman and buildah without a Docker engine, and images to stand in for those that no registry is here to give.

Everything is kept apart from the machine's own containers, in the cache: `${XDG_CACHE_HOME:-~/.cache}/gridpulse/containers`.
Run as a program it says what is missing: `python tests/containers/engine.py`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "compose"
APPS = ("ingest", "detector", "influx-sink", "archiver", "alerter")
SUITE, PACKAGES = "trixie", "python3,ca-certificates"
TOOLS = {
    "podman": "podman", "buildah": "buildah", "runc": "runc", "debootstrap": "debootstrap",
    "iptables": "iptables", "netavark": "netavark", "aardvark-dns": "aardvark-dns",
}  # fmt: skip
HELPERS = ("/usr/lib/podman", "/usr/libexec/podman")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
CONTAINERS_CONF = """\
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
seccomp_profile = "unconfined"
cgroups = "no-conmon"
"""


def missing() -> str | None:
    """What keeps containers from running here, and what to do; None where nothing does."""
    if os.geteuid() != 0:
        return "containers are tested as root: debootstrap makes the stand-in for the base image"
    path = os.pathsep.join([os.environ.get("PATH", ""), *HELPERS])
    absent = [package for tool, package in TOOLS.items() if shutil.which(tool, path=path) is None]
    return f"missing: apt-get install --no-install-recommends {' '.join(absent)}" if absent else None


def variables() -> dict[str, str]:
    """The variables of compose/.env."""
    lines = (line for line in (COMPOSE / ".env").read_text("utf-8").splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


@dataclass(frozen=True)
class Engine:
    """Commands on the images and containers under `folder`."""

    folder: Path

    @classmethod
    def open(cls) -> Engine:
        """Engine of the cache, its settings written."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gridpulse" / "containers"
        cache.mkdir(parents=True, exist_ok=True)
        (cache / "containers.conf").write_text(CONTAINERS_CONF)
        storage = f'[storage]\ndriver = "overlay"\ngraphroot = "{cache}/storage"\nrunroot = "{cache}/run"\n'
        (cache / "storage.conf").write_text(storage)
        (cache / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        return cls(cache)

    @property
    def environment(self) -> dict[str, str]:
        """Variables for podman, buildah and podman-compose."""
        return {
            **os.environ,
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "STORAGE_DRIVER": "overlay",
        }

    def run(self, *words: str, timeout: float = 120.0, check: bool = True, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; where it fails, its output is in the error."""
        done: subprocess.CompletedProcess[str] = subprocess.run(
            words, env=self.environment, timeout=timeout, check=False, capture_output=True, text=True, **options
        )  # type: ignore[call-overload]
        if check and done.returncode:
            raise AssertionError(f"{' '.join(words)}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return done

    def podman(self, *words: str, timeout: float = 120.0, check: bool = True) -> str:
        """Standard output of a podman command."""
        return self.run("podman", *words, timeout=timeout, check=check).stdout.strip()

    def has(self, image: str) -> bool:
        """Whether the image is there."""
        return self.run("podman", "image", "exists", image, check=False).returncode == 0

    def base(self) -> str:
        """Stand-in for the Python base image: Debian's minimal system with its own Python, and this machine's certificates."""
        image = variables()["PYTHON_IMAGE"]
        with FileLock(self.folder / "base.lock"):
            if not self.has(image):
                say(f"making a stand-in for {image} with debootstrap (a minute)")
                with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                    root = Path(folder) / "root"
                    self.run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root), timeout=1500)
                    if CERTIFICATES.exists():
                        shutil.copyfile(CERTIFICATES, root / "etc/ssl/certs/ca-certificates.crt")
                    for useless in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
                        shutil.rmtree(root / useless, ignore_errors=True)
                    self.pack(root, image, "ENV UV_NATIVE_TLS=1", 'CMD ["python3"]')
        return image

    def uv(self) -> str:
        """Stand-in for uv's image: the uv that made our environment."""
        image = variables()["UV_IMAGE"]
        with FileLock(self.folder / "uv.lock"):
            if not self.has(image):
                found = shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".venv-tools/bin"))
                assert found, "uv is missing: make setup"
                with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                    shutil.copy(found, Path(folder) / "uv")
                    self.pack(Path(folder), image)
        return image

    def pack(self, root: Path, image: str, *changes: str) -> None:
        """Make `image` of the files under `root`."""
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".tar") as file:
            with tarfile.open(fileobj=file, mode="w") as tar:
                tar.add(root, arcname=".")
            file.flush()
            options = [word for change in changes for word in ("--change", change)]
            self.podman("import", *options, file.name, image, timeout=600)

    def build(self, app: str, extra: Mapping[str, str] | None = None) -> str:
        """Build the image of `app` by compose/Dockerfile, and return its name in compose.yaml."""
        own = variables()
        image = f"{own['GRIDPULSE_REGISTRY']}/{app}:{own['GRIDPULSE_VERSION']}"
        arguments = {"APP": app, "PYTHON_IMAGE": self.base(), "UV_IMAGE": self.uv(), **(extra or {})}
        options = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        say(f"building {image}")
        self.run(
            "buildah", "bud", "--isolation", "chroot", "--network", "host", "--layers", "--format", "docker", "--pull-never",
            *options, "-f", str(COMPOSE / "Dockerfile"), "-t", image, str(ROOT),
            timeout=1500,
        )  # fmt: skip
        return image

    def compressed(self, image: str) -> int:
        """Bytes of the image as registries keep it and machines pull it."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            self.run("buildah", "push", image, f"oci:{folder}/image", timeout=600)
            return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())


def say(text: str) -> None:
    """Progress, for those who wait."""
    sys.stderr.write(f"[containers] {text}\n")


if __name__ == "__main__":
    lack = missing()
    if lack:
        sys.exit(f"test-containers: {lack}")
