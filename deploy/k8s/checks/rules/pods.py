"""Pods: the restricted Pod Security Standard and what goes beyond it."""

from collections.abc import Iterator
from typing import Final

from deploy.k8s.checks.manifests import NAMESPACE, Manifests, Workload, name_of

_FIRST_USER: Final = 10_000
"""Users below may be somebody on the node."""
_CLUSTER_WIDE: Final = frozenset({"Namespace", "PriorityClass"})
_PERMITTED_VOLUMES: Final = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)
SPREAD_OVER: Final = ("topology.kubernetes.io/zone", "kubernetes.io/hostname")


def namespace_enforces_restricted(manifests: Manifests) -> Iterator[str]:
    """The cluster itself refuses a pod that is less."""
    namespaces = [each for each in manifests.of_kind("Namespace") if each["metadata"]["name"] == NAMESPACE]
    if len(namespaces) != 1:
        yield f"Namespace/{NAMESPACE}: there must be one"
        return
    labels = namespaces[0]["metadata"].get("labels", {})
    for mode in ("enforce", "audit", "warn"):
        wanted = {
            f"pod-security.kubernetes.io/{mode}": "restricted",
            f"pod-security.kubernetes.io/{mode}-version": "latest",
        }
        for label, value in wanted.items():
            if labels.get(label) != value:
                yield f"Namespace/{NAMESPACE}: label {label} is not {value}"


def everything_is_in_the_namespace(manifests: Manifests) -> Iterator[str]:
    """Nothing lands where somebody's context happens to point."""
    for each in manifests.objects:
        if each["kind"] not in _CLUSTER_WIDE and each["metadata"].get("namespace") != NAMESPACE:
            yield f"{name_of(each)}: is not in the namespace {NAMESPACE}"


def no_token_and_no_links(manifests: Manifests) -> Iterator[str]:
    """No process speaks to the cluster's API, and none gets variables that nobody wrote down."""
    for workload in manifests.workloads:
        for field in ("automountServiceAccountToken", "enableServiceLinks"):
            if workload.pod.get(field) is not False:
                yield f"{workload}: {field} is not false"


def runs_as_nobody_of_the_node(manifests: Manifests) -> Iterator[str]:
    """User, group and the group of its volumes are high numbers; the kernel's calls are filtered."""
    for workload in manifests.workloads:
        context = workload.pod.get("securityContext", {})
        if context.get("runAsNonRoot") is not True:
            yield f"{workload}: runAsNonRoot is not true"
        for field in ("runAsUser", "runAsGroup", "fsGroup"):
            if context.get(field, 0) < _FIRST_USER:
                yield f"{workload}: {field} is not {_FIRST_USER} or more"
        if context.get("fsGroupChangePolicy") != "OnRootMismatch":
            yield f"{workload}: fsGroupChangePolicy is not OnRootMismatch, so that large volumes hold up each start"
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{workload}: seccompProfile is not RuntimeDefault"


def shares_nothing_with_the_node(manifests: Manifests) -> Iterator[str]:
    """No namespaces, ports or folders of the node."""
    for workload in manifests.workloads:
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            if workload.pod.get(field):
                yield f"{workload}: {field} is set"
        for volume in workload.volumes:
            kinds = volume.keys() - {"name"}
            if not kinds <= _PERMITTED_VOLUMES:
                yield f"{workload}: volume {volume['name']} is of a kind that restricted pods may not have"
        for container in workload.containers:
            if any("hostPort" in port for port in container.get("ports", [])):
                yield f"{workload}: container {container['name']} has a port of the node"


def volumes_are_bounded(manifests: Manifests) -> Iterator[str]:
    """What is written lies in a volume that has an end."""
    for workload in manifests.workloads:
        for volume in workload.volumes:
            if "emptyDir" in volume and not (volume["emptyDir"] or {}).get("sizeLimit"):
                yield f"{workload}: emptyDir {volume['name']} has no sizeLimit"
        claims = [volume["ephemeral"]["volumeClaimTemplate"] for volume in workload.volumes if "ephemeral" in volume]
        for claim in [*claims, *workload.spec.get("volumeClaimTemplates", [])]:
            if not claim["spec"].get("resources", {}).get("requests", {}).get("storage"):
                yield f"{workload}: a claim asks for no amount of storage"


def has_a_priority(manifests: Manifests) -> Iterator[str]:
    """It is said who goes first when a node is full."""
    classes = {each["metadata"]["name"] for each in manifests.of_kind("PriorityClass")}
    for workload in manifests.workloads:
        if workload.pod.get("priorityClassName") not in classes:
            yield f"{workload}: has none of our priority classes"
    for each in manifests.of_kind("PriorityClass"):
        if each.get("globalDefault") is not False or "preemptionPolicy" not in each:
            yield f"{name_of(each)}: must say that it is no default, and whom it displaces"


def is_spread(manifests: Manifests) -> Iterator[str]:
    """A zone or a node that is lost takes no more pods than it must."""
    for workload in manifests.workloads:
        if not workload.is_long_running:
            continue
        for key in SPREAD_OVER:
            if not any(_spreads(each, key, workload) for each in workload.pod.get("topologySpreadConstraints", [])):
                yield f"{workload}: is not spread over {key}"


def _spreads(constraint: dict[str, object], key: str, workload: Workload) -> bool:
    selector = constraint.get("labelSelector")
    own = isinstance(selector, dict) and selector.get("matchLabels", {}).items() <= workload.labels.items()
    return constraint.get("topologyKey") == key and own and constraint.get("maxSkew") == 1


RULES: Final = (
    namespace_enforces_restricted,
    everything_is_in_the_namespace,
    no_token_and_no_links,
    runs_as_nobody_of_the_node,
    shares_nothing_with_the_node,
    volumes_are_bounded,
    has_a_priority,
    is_spread,
)
