"""Routes: what the world may reach, over TLS but for development."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from deploy.k8s.checks.manifests import Manifests, name_of

INSIDE: Final = ("/metrics", "/livez", "/readyz")
_PAGES: Final = "frontend"


def clients_never_reach_the_inside(manifests: Manifests) -> Iterator[str]:
    """A service's health and figures are the cluster's; its routes name what is a client's."""
    for route in manifests.of_kind("HTTPRoute"):
        for rule in route["spec"].get("rules", []):
            backends = [each["name"] for each in rule.get("backendRefs", [])]
            if not backends and not any(each["type"] == "RequestRedirect" for each in rule.get("filters", [])):
                yield f"{name_of(route)}: a rule leads nowhere"
            if backends in ([], [_PAGES]):
                continue
            matches = rule.get("matches", [])
            for match in matches:
                arriving = arriving_at(match, rule)
                for path in INSIDE:
                    if PurePosixPath(path).is_relative_to(arriving) and backends != ["issuer"]:
                        yield f"{name_of(route)}: {path} of {', '.join(backends)} can be reached"


def routes_fit_their_services(manifests: Manifests) -> Iterator[str]:
    """A rule says what it matches, and takes off what the service behind does not know; a route names its listener."""
    for route in manifests.of_kind("HTTPRoute"):
        if not all(each.get("sectionName") for each in route["spec"].get("parentRefs", [])):
            yield f"{name_of(route)}: is attached to every listener"
        for rule in route["spec"].get("rules", []):
            backends = [each["name"] for each in rule.get("backendRefs", [])]
            if backends and not rule.get("matches"):
                yield f"{name_of(route)}: does not say what it takes to {', '.join(backends)}"
            for match in rule.get("matches", []):
                asked, arriving = match.get("path", {}).get("value", "/"), arriving_at(match, rule)
                whole = backends == [_PAGES]
                if whole != (asked == arriving) or not (asked.endswith(arriving) or arriving == "/"):
                    yield f"{name_of(route)}: {asked} arrives at {', '.join(backends)} as {arriving}"


def arriving_at(match: dict[str, Any], rule: dict[str, Any]) -> str:
    """The path, as the service sees it, below which all that matches arrives."""
    path: str = match.get("path", {}).get("value", "/")
    for each in rule.get("filters", []):
        if each["type"] == "URLRewrite":
            path = each.get("urlRewrite", {}).get("path", {}).get("replacePrefixMatch", path)
    return path


def long_requests_are_not_cut(manifests: Manifests) -> Iterator[str]:
    """Uploads and streams are longer than any gateway's patience."""
    for route in manifests.of_kind("HTTPRoute"):
        for rule in route["spec"].get("rules", []):
            if rule.get("backendRefs") and rule.get("timeouts", {}).get("request") != "0s":
                yield f"{name_of(route)}: leaves it to the gateway when requests are cut off"


def the_gateway_ends_tls(manifests: Manifests) -> Iterator[str]:
    """Routes belong to this namespace, and to a listener with TLS but for development."""
    development = bool([each for each in manifests.workloads if each.name == "issuer"])
    for gateway in manifests.of_kind("Gateway"):
        listeners = gateway["spec"].get("listeners", [])
        for listener in listeners:
            if listener.get("allowedRoutes", {}).get("namespaces", {}).get("from") != "Same":
                yield f"{name_of(gateway)}: takes routes of other namespaces"
        terminating = [each["name"] for each in listeners if each.get("tls", {}).get("mode") == "Terminate"]
        if not terminating and not development:
            yield f"{name_of(gateway)}: has no listener with TLS"
        for route in manifests.of_kind("HTTPRoute"):
            serves = any(rule.get("backendRefs") for rule in route["spec"].get("rules", []))
            sections = [each.get("sectionName") for each in route["spec"].get("parentRefs", [])]
            if serves and not development and not (sections and set(sections) <= set(terminating)):
                yield f"{name_of(route)}: serves without TLS"
            if not route["spec"].get("hostnames"):
                yield f"{name_of(route)}: serves any name"


def dicom_peers_keep_their_address(manifests: Manifests) -> Iterator[str]:
    """Network policies of who may send images are about peers, not nodes."""
    for service in manifests.of_kind("Service"):
        spec = service["spec"]
        if spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") != "Local":
            yield f"{name_of(service)}: hides who connects"


RULES: Final = (
    clients_never_reach_the_inside,
    routes_fit_their_services,
    long_requests_are_not_cut,
    the_gateway_ends_tls,
    dicom_peers_keep_their_address,
)
