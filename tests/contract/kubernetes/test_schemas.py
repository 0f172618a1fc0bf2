"""A field that no schema knows is refused, wherever it stands; so is one that is missing or of a wrong type."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.k8s.checks import schemas
from deploy.k8s.checks.manifests import name_of
from deploy.k8s.checks.rendering import Object
from support.manifests import FULL_GPU, overlay, rendered

PLANTED = "planted"
FREE = {"data", "labels", "annotations", "matchLabels", "limits", "requests", "podSelector", "namespaceSelector"}
"""Maps whose keys are anybody's."""


def kinds() -> dict[str, Object]:
    """One object of each kind that is rendered anywhere, the one with most in it."""
    found: dict[str, Object] = {}
    for each in [*rendered(*FULL_GPU).objects, *overlay("dev").objects]:
        key = f"{each['apiVersion']} {each['kind']}"
        if key not in found or len(str(each)) > len(str(found[key])):
            found[key] = each
    return found


def places(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where an object has maps whose keys are the schema's."""
    if isinstance(node, dict):
        if not path or path[-1] not in FREE:
            yield path
        for key, value in node.items():
            if key not in FREE:
                yield from places(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from places(value, (*path, index))


def at(node: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        node = node[step]
    return node


def test_an_unknown_field_is_refused_wherever_it_stands() -> None:
    unseen, tried = [], 0
    for kind, original in kinds().items():
        assert list(schemas.faults([original])) == []
        for path in places(original):
            if kind == "v1 Service" and path == ("spec", "selector"):
                continue  # labels
            changed = copy.deepcopy(original)
            at(changed, path)[PLANTED] = "x"
            tried += 1
            if not list(schemas.faults([changed])):
                unseen.append((kind, path))
    assert unseen == []
    assert tried > 400


def test_every_kind_of_custom_resource_that_has_a_schema_here_is_tried() -> None:
    written = {path.stem for path in schemas.DEFINITIONS.glob("*_*.yaml")}
    tried = {f"{each['apiVersion'].replace('/', '_')}_{each['kind']}" for each in kinds().values()}
    # Rules are the observability component's, and not there yet in every checkout.
    assert written - tried <= {"monitoring.coreos.com_v1_PrometheusRule"}


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("apps/v1 Deployment", ("spec", "replicas"), "two"),
        ("keda.sh/v1alpha1 ScaledObject", ("spec", "minReplicaCount"), "1"),
        ("keda.sh/v1alpha1 ScaledObject", ("spec", "triggers", 0, "metadata", "lagThreshold"), 5),
        ("keda.sh/v1alpha1 ScaledObject", ("spec", "triggers", 0, "type"), "nats-jetstreams"),
        ("gateway.networking.k8s.io/v1 HTTPRoute", ("spec", "rules", 0, "timeouts", "request"), "none"),
        ("external-secrets.io/v1 ExternalSecret", ("spec", "secretStoreRef", "kind"), "Vault"),
        ("monitoring.coreos.com/v1 PodMonitor", ("spec", "podMetricsEndpoints", 0, "interval"), "often"),
    ],
)
def test_a_value_of_a_wrong_type_is_refused(kind: str, path: tuple[str | int, ...], value: object) -> None:
    changed = copy.deepcopy(kinds()[kind])
    at(changed, path[:-1])[path[-1]] = value
    assert len(list(schemas.faults([changed]))) >= 1


def test_a_kind_that_has_no_schema_is_a_fault() -> None:
    planted = {"apiVersion": "example.org/v1", "kind": "Planted", "metadata": {"name": "a", "namespace": "radrelay"}}
    assert any("no schema" in each for each in schemas.faults([planted]))
    assert name_of(planted) == "Planted/a"
