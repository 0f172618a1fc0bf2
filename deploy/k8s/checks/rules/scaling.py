"""Scaling: one scaler for each workload, never to nothing, and never blind."""

from collections.abc import Iterator
from typing import Any, Final

from deploy.k8s.checks.manifests import Manifests, name_of

_FROM_NOTHING: Final = "model-server-cpu"
"""A fallback: there are none while what it stands in for is there."""
_LEAST_STEADY_S: Final = 300


def has_one_scaler(manifests: Manifests) -> Iterator[str]:
    """KEDA makes an autoscaler of its own: two of them on one workload pull at each other, and so does a number."""
    workloads = {(each.kind, each.name): each for each in manifests.workloads}
    scaled: set[tuple[str, str]] = set()
    for each in manifests.of_kind("HorizontalPodAutoscaler", "ScaledObject"):
        target = each["spec"].get("scaleTargetRef", {})
        key = (target.get("kind", "Deployment"), target.get("name"))
        if key not in workloads:
            yield f"{name_of(each)}: scales nothing that is there"
        elif "replicas" in workloads[key].spec:
            yield f"{workloads[key]}: has a number of replicas, and something that scales it"
        if key in scaled:
            yield f"{name_of(each)}: {key[1]} is scaled by something else too"
        scaled.add(key)
    for workload in manifests.workloads:
        fixed = not workload.is_long_running or "replicas" in workload.spec
        if not fixed and (workload.kind, workload.name) not in scaled:
            yield f"{workload}: neither says how many it is nor is scaled"


def never_scales_to_nothing(manifests: Manifests) -> Iterator[str]:
    """Workers relay and sweep also while nothing waits."""
    for each in manifests.of_kind("HorizontalPodAutoscaler", "ScaledObject"):
        spec = each["spec"]
        least = spec.get("minReplicas", spec.get("minReplicaCount"))
        if least is None:
            yield f"{name_of(each)}: does not say how few there may be"
            continue
        if least < 1 and each["metadata"]["name"] != _FROM_NOTHING:
            yield f"{name_of(each)}: may scale to nothing"
        if spec.get("maxReplicas", spec.get("maxReplicaCount", 0)) <= least:
            yield f"{name_of(each)}: has no bound above"


def shrinks_slowly(manifests: Manifests) -> Iterator[str]:
    """A pod that ends gives back what it has in hand, and is warm no more."""
    for each in manifests.of_kind("HorizontalPodAutoscaler", "ScaledObject"):
        if each["metadata"]["name"] == _FROM_NOTHING:
            if each["spec"].get("cooldownPeriod", 0) < _LEAST_STEADY_S:
                yield f"{name_of(each)}: goes as soon as it is not needed"
            continue
        if _behaviour(each).get("scaleDown", {}).get("stabilizationWindowSeconds", 0) < _LEAST_STEADY_S:
            yield f"{name_of(each)}: shrinks in less than {_LEAST_STEADY_S} s"


def _behaviour(each: dict[str, Any]) -> dict[str, Any]:
    spec = each["spec"]
    own = spec.get("advanced", {}).get("horizontalPodAutoscalerConfig", {}) if each["kind"] == "ScaledObject" else spec
    behaviour: dict[str, Any] = own.get("behavior", {})
    return behaviour


def knows_when_it_is_blind(manifests: Manifests) -> Iterator[str]:
    """A lag that cannot be had is no lag of 0."""
    for each in manifests.of_kind("ScaledObject"):
        if each["metadata"]["name"] != _FROM_NOTHING and not each["spec"].get("fallback", {}).get("replicas"):
            yield f"{name_of(each)}: has no fallback for when the lag cannot be had"
        for trigger in each["spec"].get("triggers", []):
            metadata = trigger.get("metadata", {})
            if trigger.get("type") == "prometheus" and metadata.get("ignoreNullValues") != "false":
                yield f"{name_of(each)}: takes a metric that is missing for 0"
            if "jetstream_consumer" in (query := metadata.get("query", "")) and query.count(
                "jetstream_consumer"
            ) != query.count('is_consumer_leader="true"'):
                yield f"{name_of(each)}: asks servers that do not lead a consumer how much waits"


RULES: Final = (has_one_scaler, never_scales_to_nothing, shrinks_slowly, knows_when_it_is_blind)
