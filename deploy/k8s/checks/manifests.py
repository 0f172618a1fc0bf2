"""The objects of one combination, and how rules find their way in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from deploy.k8s.checks.rendering import Object

NAMESPACE: Final = "radrelay"
NAME_LABEL: Final = "app.kubernetes.io/name"
LONG_RUNNING: Final = ("Deployment", "StatefulSet")


@dataclass(frozen=True)
class Workload:
    """Something that makes pods."""

    kind: str
    name: str
    spec: dict[str, Any]
    """Of the workload itself."""
    template: dict[str, Any]
    """Of its pods."""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def pod(self) -> dict[str, Any]:
        """The pod's spec."""
        spec: dict[str, Any] = self.template.get("spec", {})
        return spec

    @property
    def labels(self) -> dict[str, str]:
        """The pods' labels."""
        labels: dict[str, str] = self.template.get("metadata", {}).get("labels", {})
        return labels

    @property
    def process(self) -> str:
        """The process that the pods run, by their label."""
        return self.labels.get(NAME_LABEL, "")

    @property
    def is_long_running(self) -> bool:
        """Whether it serves until it is told to end, and does not end by itself."""
        return self.kind in LONG_RUNNING

    @property
    def main_containers(self) -> list[dict[str, Any]]:
        """Those that run as long as the pod does."""
        return list(self.pod.get("containers", []))

    @property
    def containers(self) -> list[dict[str, Any]]:
        """All, those that prepare the pod too."""
        return [*self.pod.get("initContainers", []), *self.main_containers]

    @property
    def volumes(self) -> list[dict[str, Any]]:
        """The pods' volumes."""
        return list(self.pod.get("volumes", []))

    def secrets(self) -> Iterator[tuple[str, dict[str, str], bool]]:
        """Secrets in its volumes: name, files by key, and whether it may be missing."""
        for volume in self.volumes:
            for source in volume.get("projected", {}).get("sources", []):
                if secret := source.get("secret"):
                    files = {item["key"]: item["path"] for item in secret.get("items", [])}
                    yield secret["name"], files, secret.get("optional", False)


@dataclass(frozen=True)
class Manifests:
    """Everything of one combination."""

    objects: Sequence[Object]
    components: tuple[str, ...] = ()

    def of_kind(self, *kinds: str) -> list[Object]:
        """The objects of some kinds."""
        return [each for kind in kinds for each in self._by_kind.get(kind, [])]

    @cached_property
    def _by_kind(self) -> dict[str, list[Object]]:
        found: dict[str, list[Object]] = {}
        for each in self.objects:
            found.setdefault(each["kind"], []).append(each)
        return found

    @cached_property
    def workloads(self) -> list[Workload]:
        """Everything that makes pods."""
        found = []
        for each in self.of_kind("Deployment", "StatefulSet", "Job"):
            spec = each.get("spec", {})
            found.append(Workload(each["kind"], each["metadata"]["name"], spec, spec.get("template", {})))
        for each in self.of_kind("CronJob"):
            job = each["spec"].get("jobTemplate", {}).get("spec", {})
            found.append(Workload("CronJob", each["metadata"]["name"], job, job.get("template", {})))
        return found

    def selected(self, labels: dict[str, str]) -> list[Workload]:
        """Workloads whose pods have these labels."""
        return [each for each in self.workloads if labels and labels.items() <= each.labels.items()]


def name_of(each: Object) -> str:
    """Kind and name, for messages."""
    return f"{each.get('kind')}/{each.get('metadata', {}).get('name')}"


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector takes pods with these labels; an empty one takes all.

    Raises:
        ValueError: it uses an operator that no manifest of ours does.
    """
    if not selector.get("matchLabels", {}).items() <= labels.items():
        return False
    for expression in selector.get("matchExpressions", []):
        if expression["operator"] != "In":
            raise ValueError(f"a selector uses {expression['operator']}")
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True
