"""Containers: privileges, files, resources, images and probes."""

from collections.abc import Iterator
from typing import Any, Final

from deploy.k8s.checks.manifests import Manifests, Workload

_RESOURCES: Final = ("cpu", "memory", "ephemeral-storage")
_LEAST_PROBE_TIMEOUT_S: Final = 4
"""/readyz gives its dependencies three seconds (`READINESS_TIMEOUT_S`)."""
_LEAST_START_S: Final = {"model-server": 300}
"""Bundles are verified, loaded and warmed up before its port answers."""
_LEAST_START_OTHERWISE_S: Final = 60
_LEAST_PATIENCE_S: Final = 30
"""So long a process may say nothing before it is killed: it may only be busy."""


def _each(manifests: Manifests) -> Iterator[tuple[str, Workload, dict[str, Any]]]:
    for workload in manifests.workloads:
        for container in workload.containers:
            yield f"{workload} container {container['name']}", workload, container


def has_no_privileges(manifests: Manifests) -> Iterator[str]:
    """None, and no way to get any."""
    for name, _, container in _each(manifests):
        context = container.get("securityContext", {})
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"{name}: allowPrivilegeEscalation is not false"
        if context.get("privileged"):
            yield f"{name}: is privileged"
        if context.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{name}: does not drop all capabilities"
        weakened = {"runAsNonRoot", "runAsUser", "runAsGroup", "seccompProfile"} & context.keys()
        if weakened:
            yield f"{name}: sets {', '.join(sorted(weakened))}, which the pod has set"


def cannot_write_to_its_image(manifests: Manifests) -> Iterator[str]:
    """What runs is what was built."""
    for name, _, container in _each(manifests):
        if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
            yield f"{name}: readOnlyRootFilesystem is not true"


def configuration_is_read_only(manifests: Manifests) -> Iterator[str]:
    """Secrets, settings and models are mounted to be read."""
    for name, workload, container in _each(manifests):
        given = {v["name"] for v in workload.volumes if v.keys() & {"projected", "secret", "configMap"}}
        mounts = container.get("volumeMounts", [])
        prepared = {"bundles"} if container in workload.main_containers else set()
        for mount in mounts:
            if mount["name"] in given | prepared and mount.get("readOnly") is not True:
                yield f"{name}: {mount['name']} is not mounted to be read only"


def asks_for_what_it_may_take(manifests: Manifests) -> Iterator[str]:
    """The scheduler knows what it needs, and the node how much it may take."""
    for name, _, container in _each(manifests):
        for kind in ("requests", "limits"):
            given = container.get("resources", {}).get(kind, {})
            for resource in _RESOURCES:
                if resource not in given:
                    yield f"{name}: has no {kind} of {resource}"


def image_has_a_version(manifests: Manifests) -> Iterator[str]:
    """A digest, or a tag that names a release."""
    for name, _, container in _each(manifests):
        image = container.get("image", "")
        tag = image.rpartition("/")[2].partition(":")[2]
        if "@sha256:" not in image and tag in {"", "latest"}:
            yield f"{name}: image {image} has no version"


def is_probed(manifests: Manifests) -> Iterator[str]:
    """Starting, being alive and being ready are three questions, each with its own patience."""
    for workload in manifests.workloads:
        if not workload.is_long_running:
            continue
        for container in workload.main_containers:
            name = f"{workload} container {container['name']}"
            yield from _probe_faults(name, container)
            start = container.get("startupProbe", {})
            least = _LEAST_START_S.get(container["name"], _LEAST_START_OTHERWISE_S)
            if start.get("periodSeconds", 0) * start.get("failureThreshold", 0) < least:
                yield f"{name}: has less than {least} s to start"
            alive = container.get("livenessProbe", {})
            if alive.get("periodSeconds", 0) * alive.get("failureThreshold", 0) < _LEAST_PATIENCE_S:
                yield f"{name}: is killed when it says nothing for less than {_LEAST_PATIENCE_S} s"


def _probe_faults(name: str, container: dict[str, Any]) -> Iterator[str]:
    ports = {port.get("name") for port in container.get("ports", [])}
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        probe = container.get(kind)
        if not probe:
            yield f"{name}: has no {kind}"
            continue
        if probe.get("timeoutSeconds", 1) < _LEAST_PROBE_TIMEOUT_S:
            yield f"{name}: {kind} waits less than {_LEAST_PROBE_TIMEOUT_S} s"
        if not {"periodSeconds", "failureThreshold"} <= probe.keys():
            yield f"{name}: {kind} does not say how often, and how often it may fail"
        asked = probe.get("httpGet") or probe.get("tcpSocket")
        if not asked and "exec" not in probe:
            yield f"{name}: {kind} asks nothing"
        if asked and asked.get("port") not in ports:
            yield f"{name}: {kind} asks a port that is not there"
    alive, ready = (container.get(kind, {}) for kind in ("livenessProbe", "readinessProbe"))
    if alive and alive.get("httpGet", alive.get("tcpSocket")) == ready.get("httpGet", ready.get("tcpSocket")):
        yield f"{name}: would be killed for not being ready"


RULES: Final = (
    has_no_privileges,
    cannot_write_to_its_image,
    configuration_is_read_only,
    asks_for_what_it_may_take,
    image_has_a_version,
    is_probed,
)
