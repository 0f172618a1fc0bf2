"""Schemas of objects, with unknown fields refused.

Kubernetes' own come from the wheel kubernetes-validate, for the oldest release that we support and the newest that it
has. Those of custom resources are in `definitions/`: the fields that we use, from the definitions named there.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema
import yaml
from jsonschema.protocols import Validator
from kubernetes_validate.utils import schema_contents
from referencing import Registry, Resource

from deploy.k8s.checks.manifests import name_of
from deploy.k8s.checks.rendering import Object

RELEASES: Final = ("1.31", "1.37")
DEFINITIONS: Final = Path(__file__).parent / "definitions"


def faults(objects: list[Object], seen: set[str] | None = None) -> Iterator[str]:
    """What is wrong with objects by their schemas.

    Args:
        objects: to be validated.
        seen: of objects that were validated before; they are left out, and these are added.
    """
    done = set() if seen is None else seen
    for each in objects:
        content = json.dumps(each, sort_keys=True)
        if content in done:
            continue
        done.add(content)
        yield from _faults_of(each)


def _faults_of(each: Object) -> Iterator[str]:
    own = custom_schema(each["apiVersion"], each["kind"])
    if own is not None:
        for error in jsonschema.Draft202012Validator(own).iter_errors(each):
            yield _say(each, error)
        return
    for release in RELEASES:
        validator = _kubernetes(each["apiVersion"], each["kind"], release)
        if validator is None:
            yield f"{name_of(each)}: there is no schema for {each['apiVersion']} {each['kind']} (Kubernetes {release})"
            continue
        for error in validator.iter_errors(each):
            yield f"{_say(each, error)} (Kubernetes {release})"


@cache
def _kubernetes(api_version: str, kind: str, release: str) -> Validator | None:
    """The validator of one of Kubernetes' own kinds; None where it has none of the name.

    `kubernetes_validate.validate` does the same, and reads two megabytes of definitions for each object.
    """
    group, _, version = api_version.rpartition("/")
    prefix = f"{group.split('.')[0]}-" if group else ""
    try:
        schema = _contents(f"{kind.lower()}-{prefix}{version}", release)
    except FileNotFoundError:
        return None
    registry = Resource.from_contents(schema) @ (_definitions(release) @ Registry())
    return jsonschema.Draft202012Validator(schema, registry=registry)


@cache
def _definitions(release: str) -> Resource[Any]:
    return Resource.from_contents(_contents("_definitions", release))


def _contents(name: str, release: str) -> Any:
    return schema_contents(f"kubernetes-json-schema/v{release}.0-local-strict/{name}.json", release)


def _say(each: Object, error: jsonschema.ValidationError) -> str:
    place = ".".join(map(str, error.absolute_path)) or "the object"
    return f"{name_of(each)}: {place}: {error.message}"


@cache
def custom_schema(api_version: str, kind: str) -> dict[str, Any] | None:
    """The schema of a custom resource; None where it is none that we use."""
    path = DEFINITIONS / f"{api_version.replace('/', '_')}_{kind}.yaml"
    if not path.is_file():
        return None
    schema: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    common: dict[str, Any] = yaml.safe_load((DEFINITIONS / "common.yaml").read_text("utf-8"))
    spec = {**schema, "additionalProperties": False}
    return {
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
        "properties": {
            "apiVersion": {"const": api_version},
            "kind": {"const": kind},
            "metadata": common["metadata"],
            "spec": spec,
        },
        "$defs": common["$defs"],
    }
