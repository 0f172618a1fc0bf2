"""Secrets: files, and each process those that it needs."""

from collections.abc import Iterator
from typing import Final

from deploy.k8s.checks.manifests import Manifests

_ONLY_BY_ENVIRONMENT: Final = frozenset({("nats", "nats")})
"""Workload and container that can take a secret no other way."""
_MODE: Final = 0o440
_MIGRATING: Final = "migration"


def secrets_are_files(manifests: Manifests) -> Iterator[str]:
    """The environment is inherited by children, and shown by inspecting a container."""
    for workload in manifests.workloads:
        for container in workload.containers:
            if (workload.name, container["name"]) in _ONLY_BY_ENVIRONMENT:
                continue
            by_key = any("secretKeyRef" in each.get("valueFrom", {}) for each in container.get("env", []))
            if by_key or any("secretRef" in each for each in container.get("envFrom", [])):
                yield f"{workload} container {container['name']}: takes a secret from its environment"


def secrets_are_given_by_key(manifests: Manifests) -> Iterator[str]:
    """A key that is added to a Secret later is not everybody's; files are read by the process alone."""
    for workload in manifests.workloads:
        for volume in workload.volumes:
            if "secret" in volume:
                yield f"{workload}: volume {volume['name']} is a whole Secret; project its keys"
            projected = volume.get("projected")
            if projected and projected.get("defaultMode") != _MODE:
                yield f"{workload}: files in {volume['name']} are not of mode {_MODE:o}"
        for name, files, _ in workload.secrets():
            if not files:
                yield f"{workload}: gets all keys of Secret {name}"


def only_migrations_may_change_schemas(manifests: Manifests) -> Iterator[str]:
    """The owner of a schema is not bound by row security as others are."""
    for workload in manifests.workloads:
        migrates = workload.labels.get("app.kubernetes.io/component") == _MIGRATING
        keys = {key for _, files, _ in workload.secrets() for key in files}
        if not migrates and keys & {"owner_url", "admin_url"}:
            yield f"{workload}: gets the address of a schema's owner"


RULES: Final = (secrets_are_files, secrets_are_given_by_key, only_migrations_may_change_schemas)
