"""Availability: ends in order, disruptions one at a time, releases that never take all pods."""

from collections.abc import Iterator
from typing import Any, Final

from deploy.k8s.checks.manifests import Manifests, Workload, name_of

_GRACE_MARGIN_S: Final = 5
_LEAST_PAUSE_S: Final = 5
"""So long after a pod is told to end, requests may still come: not everybody has heard of it."""
_DRAIN: Final = "--timeout-graceful-shutdown="


def pause_s(container: dict[str, Any]) -> int:
    """How long a container goes on before it is told to end."""
    seconds: int = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    return seconds


def is_told_to_go_elsewhere(container: dict[str, Any]) -> bool:
    """Whether a command sends its clients away before it is told to end."""
    return bool(container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command"))


def drain_s(container: dict[str, Any]) -> int:
    """How long uvicorn lets requests go on, where it is one."""
    arguments = [*container.get("command", []), *container.get("args", [])]
    return max((int(each.removeprefix(_DRAIN)) for each in arguments if each.startswith(_DRAIN)), default=0)


def ends_in_order(manifests: Manifests) -> Iterator[str]:
    """What requests come to goes on until nobody sends any, and is given the time to end them."""
    for workload in manifests.workloads:
        grace = workload.pod.get("terminationGracePeriodSeconds")
        if grace is None:
            yield f"{workload}: does not say how long it may take to end"
            continue
        reached = is_reached(manifests, workload)
        for container in workload.main_containers:
            if reached and pause_s(container) < _LEAST_PAUSE_S and not is_told_to_go_elsewhere(container):
                yield f"{workload} container {container['name']}: ends while requests are still sent to it"
            if workload.is_long_running and grace < pause_s(container) + drain_s(container) + _GRACE_MARGIN_S:
                yield f"{workload}: has {grace} s to end, less than it pauses and drains"
            serves_http = any(each.startswith("--factory") for each in container.get("command", []))
            if serves_http and not drain_s(container):
                yield f"{workload} container {container['name']}: has no time to end requests"


def is_reached(manifests: Manifests, workload: Workload) -> bool:
    """Whether a Service sends anything to it."""
    return any(
        service["spec"].get("selector", {}).items() <= workload.labels.items()
        for service in manifests.of_kind("Service")
        if service["spec"].get("selector")
    )


def services_reach_somebody(manifests: Manifests) -> Iterator[str]:
    """A Service selects pods that have its ports."""
    for service in manifests.of_kind("Service"):
        reached = manifests.selected(service["spec"].get("selector", {}))
        if not reached:
            yield f"{name_of(service)}: selects no pods"
        for workload in reached:
            ports = {port["name"] for container in workload.containers for port in container.get("ports", [])}
            for port in service["spec"]["ports"]:
                if port.get("targetPort") not in ports:
                    yield f"{name_of(service)}: {workload} has no port {port.get('targetPort')}"


def disruptions_are_bounded(manifests: Manifests) -> Iterator[str]:
    """One pod at a time, and one that is broken anyway holds nobody up."""
    budgets = manifests.of_kind("PodDisruptionBudget")
    for budget in budgets:
        spec = budget["spec"]
        if spec.get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
            yield f"{name_of(budget)}: a pod that is not healthy keeps its node from being drained"
        if spec.get("maxUnavailable") != 1:
            yield f"{name_of(budget)}: does not let one pod go at a time"
    for workload in manifests.workloads:
        selecting = [
            budget
            for budget in budgets
            if (labels := budget["spec"].get("selector", {}).get("matchLabels"))
            and labels.items() <= workload.labels.items()
        ]
        if workload.is_long_running and len(selecting) != 1:
            yield f"{workload}: has {len(selecting)} disruption budgets and not one"


def releases_keep_serving(manifests: Manifests) -> Iterator[str]:
    """It is said how pods are replaced: by others first, or one at a time."""
    for workload in manifests.workloads:
        if workload.kind != "Deployment":
            continue
        strategy = workload.spec.get("strategy", {})
        rolling = strategy.get("rollingUpdate", {})
        if strategy.get("type") != "Recreate" and {rolling.get("maxUnavailable"), rolling.get("maxSurge")} != {0, 1}:
            yield f"{workload}: does not say how its pods are replaced"


def jobs_end(manifests: Manifests) -> Iterator[str]:
    """A job gives up some time, and a nightly one does not meet itself."""
    for workload in manifests.workloads:
        if workload.kind in {"Job", "CronJob"}:
            for field in ("backoffLimit", "activeDeadlineSeconds"):
                if field not in workload.spec:
                    yield f"{workload}: has no {field}"
    for each in manifests.of_kind("CronJob"):
        if each["spec"].get("concurrencyPolicy") != "Forbid":
            yield f"{name_of(each)}: may run twice at a time"


RULES: Final = (
    ends_in_order,
    services_reach_somebody,
    disruptions_are_bounded,
    releases_keep_serving,
    jobs_end,
)
