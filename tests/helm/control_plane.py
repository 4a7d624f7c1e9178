"""A Kubernetes control plane as plain processes: etcd, API server, controller manager, scheduler, and kwok in place of nodes.

What it decides is real: schemas, admission with pod security, controllers, rollouts, scheduling. What kwok only plays is the
kubelet: a pod that was scheduled becomes Ready, and that of a job succeeds, without anything being run.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml
from rendering import READER, Manifest, provided

from gridpulse_native.ports import LOOPBACK, choose
from gridpulse_native.process import Process
from gridpulse_native.provision.kubernetes import CLUSTER, CRDS, STAGES

TOKEN = "of-this-test"  # noqa: S105  loopback only, as long as the test
STAGED = ("node/fast", "node/heartbeat", "pod/fast")
NODE: Manifest = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"annotations": {"kwok.x-k8s.io/node": "fake"}},
    "status": {
        "allocatable": {"cpu": "32", "memory": "256Gi", "pods": "110"},
        "capacity": {"cpu": "32", "memory": "256Gi", "pods": "110"},
    },
}
"""Heartbeats are kwok's."""


class ControlPlane:
    """Starts in `folder`, and answers once it has nodes. `stop` ends it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = {recipe.name: provided(recipe) / recipe.name for recipe in CLUSTER}
        self.ports = choose(("client", "peer", "api", "manager", "scheduler"), {})
        self.address = f"https://{LOOPBACK}:{self.ports['api']}"
        self.kubeconfig = folder / "kubeconfig"
        # The certificate is one the API server makes for itself, on loopback.
        self.http = httpx.Client(base_url=self.address, headers={"Authorization": f"Bearer {TOKEN}"}, verify=False, timeout=60)  # noqa: S501
        self.processes: list[Process] = []
        self._paths: dict[tuple[str, str], str] = {}

    def start(self, nodes: int) -> None:
        self._write_files()
        self._start_etcd_and_api()
        kubeconfig = f"--kubeconfig={self.kubeconfig}"
        common = (kubeconfig, f"--authentication-kubeconfig={self.kubeconfig}", f"--authorization-kubeconfig={self.kubeconfig}")
        alone = ("--leader-elect=false", f"--bind-address={LOOPBACK}", f"--cert-dir={self.folder / 'certificates'}")
        keys = f"--service-account-private-key-file={self.folder / 'sa.key'}"
        self._run(
            "kube-controller-manager", *common, *alone, f"--secure-port={self.ports['manager']}", keys, "--concurrent-gc-syncs=5"
        )
        self._run("kube-scheduler", *common, *alone, f"--secure-port={self.ports['scheduler']}")
        stages = [f"--config={file}" for part in STAGED for file in sorted((provided(STAGES) / "stage" / part).glob("*.yaml"))]
        stages = [each for each in stages if "kustomization" not in each]
        self._run("kwok", kubeconfig, "--manage-all-nodes=true", *stages)
        for number in range(nodes):
            labels = {"kubernetes.io/hostname": f"node-{number}", "topology.kubernetes.io/zone": "abc"[number % 3]}
            self.make(NODE | {"metadata": NODE["metadata"] | {"name": f"node-{number}", "labels": labels}})
        self.wait("nodes ready", lambda: sum(map(ready, self.get("v1", "Node")["items"])) == nodes)

    def _write_files(self) -> None:
        (self.folder / "certificates").mkdir()
        (self.folder / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
        for words in (("genrsa", "-out", "sa.key", "2048"), ("rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")):
            subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True, timeout=60)
        cluster = {"server": self.address, "insecure-skip-tls-verify": True}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": TOKEN}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))

    def _start_etcd_and_api(self) -> None:
        client, peer = (f"http://{LOOPBACK}:{self.ports[name]}" for name in ("client", "peer"))
        self._run(
            "etcd", f"--data-dir={self.folder / 'etcd'}", f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )  # fmt: skip
        self._run(
            "kube-apiserver", f"--etcd-servers={client}", f"--bind-address={LOOPBACK}", f"--secure-port={self.ports['api']}",
            f"--cert-dir={self.folder / 'certificates'}", f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24", "--service-account-issuer=https://gridpulse.test",
            f"--service-account-key-file={self.folder / 'sa.pub'}",
            f"--service-account-signing-key-file={self.folder / 'sa.key'}",
        )  # fmt: skip
        self.wait("API server", self._answers)

    def _answers(self) -> bool:
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def _run(self, name: str, *words: str) -> None:
        log = self.folder / f"{name}.log"
        environment = {"PATH": os.defpath, "HOME": str(self.folder)}
        command = [str(self.programs[name]), *words]
        self.processes.append(Process(command, log=log, directory=self.folder, environment=environment))

    def wait(self, what: str, condition: Callable[[], Any], seconds: float = 300) -> None:
        end = time.monotonic() + seconds
        while not condition():
            for process in self.processes:
                assert process.alive, f"{process.log.name} ended:\n{process.last_lines()}"
            assert time.monotonic() < end, f"{what} did not come within {seconds:.0f} s"
            time.sleep(0.2)

    def path(self, version: str, kind: str, namespace: str = "") -> str:
        """Where objects of a kind are."""
        root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
        if (version, kind) not in self._paths:
            self.wait(f"{version} {kind}", lambda: self._discover(root, version) or (version, kind) in self._paths)
        plural, namespaced = self._paths[version, kind].split()
        return f"{root}/namespaces/{namespace}/{plural}" if namespaced == "True" and namespace else f"{root}/{plural}"

    def _discover(self, root: str, version: str) -> None:
        answer = self.http.get(root)
        for found in answer.json()["resources"] if answer.is_success else ():
            if "/" not in found["name"]:
                self._paths[version, found["kind"]] = f"{found['name']} {found['namespaced']}"

    def get(self, version: str, kind: str, namespace: str = "", name: str = "", **query: str) -> Manifest:
        """One object, or a list of them. Raises httpx.HTTPStatusError."""
        path = self.path(version, kind, namespace)
        return dict(self.http.get(f"{path}/{name}" if name else path, params=query).raise_for_status().json())

    def make(self, manifest: Manifest, **query: str) -> Manifest:
        """Create it; a field that Kubernetes does not know is a mistake, as is anything that admission refuses."""
        namespace = manifest["metadata"].get("namespace", "")
        path = self.path(manifest["apiVersion"], manifest["kind"], namespace)
        answer = self.http.post(path, json=manifest, params={"fieldValidation": "Strict", **query})
        assert answer.is_success, f"{manifest['kind']} {manifest['metadata']['name']}: {answer.text}"
        assert "warning" not in answer.headers, f"{manifest['kind']} {manifest['metadata']['name']}: {answer.headers['warning']}"
        return dict(answer.json())

    def make_namespace(self, name: str, labels: Mapping[str, str]) -> None:
        """A namespace where the controllers have put what every namespace has."""
        self.make({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}})
        self.wait("default account", lambda: self.get("v1", "ServiceAccount", name)["items"])

    def define_custom_resources(self) -> None:
        """KEDA's and the Prometheus operator's own definitions; their controllers are not there."""
        for file in sorted(provided(CRDS).rglob("*.yaml")):
            if "alertmanager" not in file.name and "thanos" not in file.name:
                self.make(yaml.load(file.read_text(), READER))  # noqa: S506  it is a safe loader

    def stop(self) -> None:
        self.http.close()
        for process in reversed(self.processes):
            process.stop(10)


def ready(manifest: Manifest) -> bool:
    """Whether a node's or pod's condition Ready is true."""
    conditions = manifest.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
