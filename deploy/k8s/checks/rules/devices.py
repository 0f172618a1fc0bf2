"""Devices: who gets a GPU can be placed where there are some, and uses it."""

from collections.abc import Iterator
from typing import Final

from deploy.k8s.checks.manifests import Manifests, Workload

_DEVICE: Final = "RADRELAY_INFERENCE_DEVICE"


def gpus_are_used(manifests: Manifests) -> Iterator[str]:
    """A pod with a GPU tolerates its nodes, asks for them, and does not serve on the processor unseen."""
    for workload in manifests.workloads:
        container = next((c for c in workload.main_containers if c["name"] == "model-server"), None)
        if container is None:
            continue
        limits = container.get("resources", {}).get("limits", {})
        gpus = [name for name in limits if name.startswith("nvidia.com/")]
        cuda = {"name": _DEVICE, "value": "cuda"} in container.get("env", [])
        if bool(gpus) != cuda:
            yield f"{workload}: either asks for a GPU or uses one"
        if cuda and not (_tolerates_gpu_nodes(workload) and _asks_for_gpu_nodes(workload)):
            yield f"{workload}: cannot be placed on nodes with a GPU, or can be on others"
        if cuda and "-cuda" not in container.get("image", ""):
            yield f"{workload}: has an image without CUDA"
        if len(gpus) > 1:
            yield f"{workload}: asks for {' and '.join(gpus)}"


def _tolerates_gpu_nodes(workload: Workload) -> bool:
    wanted = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    return wanted in workload.pod.get("tolerations", [])


def _asks_for_gpu_nodes(workload: Workload) -> bool:
    affinity = workload.pod.get("affinity", {}).get("nodeAffinity", {})
    terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", [])
    wanted = {"key": "nvidia.com/gpu.present", "operator": "In", "values": ["true"]}
    return bool(terms) and all(wanted in term.get("matchExpressions", []) for term in terms)


RULES: Final = (gpus_are_used,)
