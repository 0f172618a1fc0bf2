"""What manifests must keep to. A rule is a function from manifests to findings; a module is a subject."""

from collections.abc import Callable, Iterator
from typing import Final

from deploy.k8s.checks.manifests import Manifests
from deploy.k8s.checks.rules import availability, containers, devices, network, pods, routes, scaling, secrets

Rule = Callable[[Manifests], Iterator[str]]

RULES: Final[tuple[Rule, ...]] = (
    *pods.RULES,
    *containers.RULES,
    *secrets.RULES,
    *availability.RULES,
    *scaling.RULES,
    *devices.RULES,
    *network.RULES,
    *routes.RULES,
)


def findings(manifests: Manifests) -> list[str]:
    """Everything that any rule has against these manifests."""
    return [finding for rule in RULES for finding in rule(manifests)]
