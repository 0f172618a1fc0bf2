"""Rendered manifests, and what a container of them finds when it starts."""

from functools import cache
from pathlib import Path
from typing import Any

from deploy.k8s.checks.manifests import Manifests, Workload
from deploy.k8s.checks.rendering import Combination, combinations, render

FULL_GPU = (
    *("local-infra", "external-secrets", "network-policies", "gateway"),
    *("gpu", "gpu-fallback", "autoscaling", "observability"),
)
FULL_CPU = ("local-infra", "network-policies", "gateway", "openvino-cpu", "autoscaling", "observability")


@cache
def rendered(*components: str) -> Manifests:
    """The base with these components; once a process, so do not change it."""
    return Manifests(render(Combination("+".join(components), components)), components)


@cache
def overlay(name: str) -> Manifests:
    """An overlay; once a process, so do not change it."""
    (chosen,) = [each for each in combinations() if each.overlay == name]
    return Manifests(render(chosen), chosen.components)


def workload(manifests: Manifests, name: str) -> Workload:
    """The one of this name; a migration's without its release."""
    (found,) = [each for each in manifests.workloads if each.name == name or each.name.startswith(f"{name}-0-")]
    return found


def module_of(container: dict[str, Any]) -> str | None:
    """What a container runs by `python -m`; uvicorn's application and BentoML's service count."""
    command: list[str] = container.get("command", [])
    if command[:2] != ["python", "-m"]:
        return None
    if command[2] == "uvicorn":
        return command[4]
    return command[4] if command[2] == "bentoml" else command[2]


def environment(manifests: Manifests, container: dict[str, Any]) -> dict[str, str]:
    """The variables that a container is given, but for those from Secrets."""
    maps = {each["metadata"]["name"]: each.get("data", {}) for each in manifests.of_kind("ConfigMap")}
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= maps[source["configMapRef"]["name"]]
    for variable in container.get("env", []):
        if "value" in variable:
            found[variable["name"]] = variable["value"]
        elif key := variable["valueFrom"].get("configMapKeyRef"):
            data = maps[key["name"]]
            if key["key"] in data or not key.get("optional"):
                found[variable["name"]] = data[key["key"]]
    return found


def mount_secrets(folder: Path, run: Workload, secrets: dict[str, dict[str, str]]) -> None:
    """Write a workload's projected Secrets as the kubelet does: real files in a folder of the day, links to them."""
    day = folder / "..2026_11_30_08_00_00.123456789"
    day.mkdir(parents=True)
    (folder / "..data").symlink_to(day.name)
    for name, files, optional in run.secrets():
        for key, path in files.items():
            if name in secrets and key in secrets[name]:
                (day / path).write_text(secrets[name][key])
                (folder / path).symlink_to(f"..data/{path}")
            elif not optional:
                raise KeyError(f"{run} needs {key} of Secret {name}, which nobody makes")
