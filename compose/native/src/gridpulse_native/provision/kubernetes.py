"""Recipes of Helm and of a Kubernetes control plane: what the chart is tested with, no part of the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridpulse_native.provision.golang import GoProgram, copy_from_module
from gridpulse_native.provision.recipes import NO_C, Recipe, go_recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gridpulse_native.provision.workshop import Workshop

__all__ = ["CHART_TESTS", "CLUSTER", "CLUSTER_TESTS", "CRDS", "HELM", "HELM_3", "STAGES"]

KUBERNETES_MINOR, KUBERNETES_PATCH = 37, 2
KUBERNETES_VERSION = f"v1.{KUBERNETES_MINOR}.{KUBERNETES_PATCH}"
# Kubernetes requires these at v0.0.0 and replaces them by folders of its own repository; published they are modules of their own.
STAGING = (
    "api", "apiextensions-apiserver", "apimachinery", "apiserver", "cli-runtime", "client-go", "cloud-provider",
    "cluster-bootstrap", "code-generator", "component-base", "component-helpers", "controller-manager", "cri-api",
    "cri-client", "cri-streaming", "csi-translation-lib", "dynamic-resource-allocation", "endpointslice", "externaljwt",
    "kms", "kube-aggregator", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet", "metrics",
    "mount-utils", "pod-security-admission", "sample-apiserver", "sample-cli-plugin", "sample-controller", "streaming",
)  # fmt: skip


def _kubernetes(name: str) -> GoProgram:
    return GoProgram(
        name=name,
        module="k8s.io/kubernetes",
        version=KUBERNETES_VERSION,
        package=f"k8s.io/kubernetes/cmd/{name}",
        replace=tuple(f"k8s.io/{staged} => k8s.io/{staged} v0.{KUBERNETES_MINOR}.{KUBERNETES_PATCH}" for staged in STAGING),
        environment=NO_C,
        link=f"-X k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}",  # else the server says v0.0.0
    )


def _helm(major: int, version: str) -> GoProgram:
    module = f"helm.sh/helm/v{major}"
    return GoProgram("helm", module, version, f"{module}/cmd/helm", environment=NO_C)


ETCD = GoProgram("etcd", "go.etcd.io/etcd/server/v3", "v3.7.3", "go.etcd.io/etcd/server/v3", environment=NO_C)
KWOK = GoProgram("kwok", "sigs.k8s.io/kwok", "v0.8.0", "sigs.k8s.io/kwok/cmd/kwok", environment=NO_C)
KEDA = ("github.com/kedacore/keda/v2", "v2.21.0")
PROMETHEUS_OPERATOR = ("github.com/prometheus-operator/prometheus-operator", "v0.85.0")


def _make_crds(shop: Workshop, tools: Mapping[str, str]) -> None:
    copy_from_module(shop, tools["go"], *KEDA, {"config/crd/bases": "keda"})
    copy_from_module(shop, tools["go"], *PROMETHEUS_OPERATOR, {"example/prometheus-operator-crd": "prometheus-operator"})


def _make_stages(shop: Workshop, tools: Mapping[str, str]) -> None:
    copy_from_module(shop, tools["go"], KWOK.module, KWOK.version, {"kustomize/stage": "stage"})


HELM = go_recipe(_helm(4, "v4.3.1"), otherwise="The tests of the chart are skipped without it.")
HELM_3 = go_recipe(_helm(3, "v3.22.0"), otherwise="make test-cluster needs it.")
CLUSTER = tuple(
    go_recipe(program, otherwise="make test-cluster needs it.")
    for program in (*map(_kubernetes, ("kube-apiserver", "kube-controller-manager", "kube-scheduler")), ETCD, KWOK)
)
"""A control plane: API server, controller manager, scheduler, their store, and what plays the nodes."""
CRDS = Recipe(
    name="crds",
    version=f"keda-{KEDA[1]}-prometheus-operator-{PROMETHEUS_OPERATOR[1]}",
    tools=("go",),
    otherwise="The tests of the chart are skipped without it.",
    make=_make_crds,
)
"""Definitions of ScaledObject, PodMonitor, PrometheusRule and the rest, as their projects publish them."""
STAGES = Recipe(
    name="kwok-stages",
    version=KWOK.version.removeprefix("v"),
    tools=("go",),
    otherwise="make test-cluster needs it.",
    make=_make_stages,
)
"""What kwok's nodes and pods go through."""
CHART_TESTS = {recipe.name: recipe for recipe in (HELM, CRDS)}
"""What the chart's tests in `make test` need."""
CLUSTER_TESTS = {"helm-3": HELM_3, **{recipe.name: recipe for recipe in (*CLUSTER, STAGES)}}
"""What `make test-cluster` needs besides: built only when asked for by name, or `cluster` for all."""
