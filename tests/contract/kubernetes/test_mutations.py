"""The rules are proved: each hardening field of what is rendered is taken away in turn, and some rule must say so."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from deploy.k8s.checks import schemas
from deploy.k8s.checks.manifests import Manifests, name_of
from deploy.k8s.checks.rendering import Object
from deploy.k8s.checks.rules import RULES, Rule, findings
from support.manifests import FULL_CPU, FULL_GPU, overlay, rendered
from support.planted_manifests import NOTICING

Path = tuple[str | int, ...]

HARDENING = {
    # who a pod is, and what it may do
    "automountServiceAccountToken", "enableServiceLinks", "securityContext", "runAsNonRoot", "runAsUser", "runAsGroup",
    "fsGroup", "fsGroupChangePolicy", "seccompProfile", "allowPrivilegeEscalation", "readOnlyRootFilesystem",
    "capabilities", "drop",
    # what it may take, and where it stands
    "resources", "requests", "limits", "cpu", "memory", "ephemeral-storage", "storage", "sizeLimit",
    "priorityClassName", "preemptionPolicy", "globalDefault", "topologySpreadConstraints", "topologyKey", "maxSkew",
    "labelSelector", "tolerations", "nvidia.com/gpu",
    # how it starts, is replaced and ends
    "startupProbe", "livenessProbe", "readinessProbe", "httpGet", "tcpSocket", "timeoutSeconds", "failureThreshold",
    "periodSeconds", "lifecycle", "preStop", "sleep", "terminationGracePeriodSeconds", "strategy", "rollingUpdate",
    "maxUnavailable", "maxSurge", "unhealthyPodEvictionPolicy", "backoffLimit", "activeDeadlineSeconds",
    "concurrencyPolicy",
    # secrets
    "items", "defaultMode", "readOnly",
    # who reaches whom
    "policyTypes", "from", "to", "podSelector", "namespaceSelector", "allowedRoutes", "namespaces", "tls", "mode",
    "hostnames", "timeouts", "sectionName", "filters", "urlRewrite", "matches", "externalTrafficPolicy",
    # how many there are
    "minReplicas", "maxReplicas", "minReplicaCount", "maxReplicaCount", "fallback", "scaleDown",
    "stabilizationWindowSeconds", "cooldownPeriod", "ignoreNullValues", "scaleTargetRef",
}  # fmt: skip
WHOLE = {
    "Namespace",
    "PodDisruptionBudget",
    "PriorityClass",
    "NetworkPolicy",
    "ScaledObject",
    "HorizontalPodAutoscaler",
}
"""Objects whose absence must be noticed."""


WEAKER = {
    "restricted": "privileged",
    "RuntimeDefault": "Unconfined",
    "AlwaysAllow": "IfHealthyBudget",
    "ALL": "NET_RAW",
    "Forbid": "Allow",
    "Same": "All",
    "Terminate": "Passthrough",
    "OnRootMismatch": "Always",
}
"""Values, and what somebody might set in their place."""
ANYBODY = {"runAsUser", "runAsGroup", "fsGroup"}


def places(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every field of an object, with its value."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in children:
        yield (*path, key), value
        yield from places(value, (*path, key))


def changed(each: Object, path: Path, value: Any) -> Object:
    """The object with another value at a place; without it where that is None."""
    copied = copy.deepcopy(each)
    node: Any = copied
    for step in path[:-1]:
        node = node[step]
    if value is None:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return copied


def mutations(each: Object) -> Iterator[tuple[str, Object | None]]:
    """Weaker objects, and what was done to each; None where it is taken away as a whole."""
    if each["kind"] in WHOLE:
        yield "as a whole", None
    for path, value in places(each):
        key, name = path[-1], ".".join(map(str, path))
        if key in HARDENING or str(key).startswith("pod-security.kubernetes.io/"):
            yield f"without {name}", changed(each, path, None)
        if key in HARDENING and isinstance(value, bool):
            yield f"{name} turned", changed(each, path, not value)
        if key in ANYBODY:
            yield f"{name} root", changed(each, path, 0)
        if isinstance(value, str) and value in WEAKER:
            yield f"{name} {WEAKER[value]}", changed(each, path, WEAKER[value])


@dataclass
class Outcome:
    """What became of mutations."""

    tried: int = 0
    unnoticed: list[str] = field(default_factory=list)
    noticing: set[Rule] = field(default_factory=set)

    def try_all(self, manifests: Manifests, wanted: Callable[[str], bool]) -> None:
        """Mutate those objects of a combination whose names are wanted."""
        assert findings(manifests) == []
        for index, each in enumerate(manifests.objects):
            others = [*manifests.objects[:index], *manifests.objects[index + 1 :]]
            for name, mutant in mutations(each) if wanted(name_of(each)) else ():
                self.tried += 1
                weaker = Manifests(others if mutant is None else [*others, mutant], manifests.components)
                noticing = {rule for rule in RULES if any(rule(weaker))}
                self.noticing |= noticing
                if not noticing and (mutant is None or not list(schemas.faults([mutant]))):
                    self.unnoticed.append(f"{name_of(each)} {name}")


def test_each_hardening_field_that_is_taken_away_or_weakened_is_noticed() -> None:
    outcome = Outcome()
    gpu, cpu, dev = rendered(*FULL_GPU), rendered(*FULL_CPU), overlay("dev")
    names = {name_of(each) for each in gpu.objects}
    outcome.try_all(gpu, lambda _: True)
    outcome.try_all(cpu, lambda name: name == "Deployment/model-server")
    outcome.try_all(dev, lambda name: name not in names)
    assert outcome.unnoticed == []
    assert outcome.tried > 1500
    # A rule that notices nothing of all this has a planted fault in test_planted_faults.
    assert {rule.__name__ for rule in set(RULES) - outcome.noticing} <= set(NOTICING)
