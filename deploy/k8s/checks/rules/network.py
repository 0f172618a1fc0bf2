"""Network: closed both ways, and open for exactly what each process connects to.

What a process connects to follows from what it is given: who has the broker's password speaks to the broker. A policy
that lets processes out is called `to-<whom>`.
"""

from collections.abc import Iterator
from typing import Any, Final

from deploy.k8s.checks.manifests import Manifests, Workload, name_of, selects

COMPONENT: Final = "network-policies"
_BOTH_WAYS: Final = {"Ingress", "Egress"}
_DNS: Final = {("UDP", 53), ("TCP", 53)}

PORTS: Final = {
    "nats": {4222},
    "postgres": {5432},
    "objects": {443, 9000},
    "model-server": {3000},
    "identity-provider": {443, 8443},
    "issuer": {8000},
    "rate-limit-store": {6379},
    "destinations": {443},
    "collector": {4318},
}
"""Whom processes connect to, and on which ports."""
_PODS: Final = {
    "nats": "nats",
    "postgres": "postgres",
    "objects": "minio",
    "model-server": "model-server",
    "issuer": "issuer",
}
"""Those that may be in the namespace, by their pods' name."""
_BY_SECRET: Final = {
    "_nats__password": "nats",
    "_database__app_url": "postgres",
    "_objects__secret_key": "objects",
    "_rate_limits__store_url": "rate-limit-store",
}
_BY_VARIABLE: Final = {"MODEL_URL": "model-server", "OBSERVABILITY__OTLP_ENDPOINT": "collector"}
_FROM_OUTSIDE: Final = {"gateway": {"api", "web", "development"}, "prometheus": {"api", "model", "worker", "intake"}}
"""Whom pods of labelled namespaces may reach, by component."""


def connects_to(workload: Workload, manifests: Manifests) -> set[str]:
    """Whom a process connects to, by what it is given."""
    files = [path for _, given, _ in workload.secrets() for path in given.values()]
    found = {whom for end, whom in _BY_SECRET.items() if any(path.endswith(end) for path in files)}
    variables = [each["name"] for container in workload.containers for each in container.get("env", [])]
    found |= {whom for end, whom in _BY_VARIABLE.items() if any(name.endswith(end) for name in variables)}
    component = workload.labels.get("app.kubernetes.io/component")
    if component == "worker" and any(path.endswith("_destinations__sealing") for path in files):
        found.add("destinations")  # APIs seal secrets, only the worker sends
    if component == "api":
        found.add("identity-provider")  # only who answers callers verifies tokens
        found |= {"issuer"} & {each.name for each in manifests.workloads}
    return found


def closed_both_ways(manifests: Manifests) -> Iterator[str]:
    """Nothing goes in or out that no other policy allows, and every policy says to and from whom."""
    if COMPONENT not in manifests.components:
        return
    policies = manifests.of_kind("NetworkPolicy")
    if not any(_denies_all(each["spec"]) for each in policies):
        yield "NetworkPolicy: none closes both ways for all pods"
    for policy in policies:
        spec = policy["spec"]
        if not spec.get("policyTypes"):
            yield f"{name_of(policy)}: does not say which ways it is about"
        for way, peers in (("ingress", "from"), ("egress", "to")):
            if spec.get(way) and way.capitalize() not in spec.get("policyTypes", []):
                yield f"{name_of(policy)}: has rules for {way} and is not about it"
            for rule in spec.get(way, []):
                if not rule.get(peers) or not rule.get("ports") or not all(map(_names_somebody, rule[peers])):
                    yield f"{name_of(policy)}: {way} with everybody, or on all ports"
                if any("port" not in port or "protocol" not in port for port in rule.get("ports", [])):
                    yield f"{name_of(policy)}: {way} on all ports of a protocol"


def _denies_all(spec: dict[str, Any]) -> bool:
    silent = not spec.get("ingress") and not spec.get("egress")
    return spec.get("podSelector") == {} and set(spec.get("policyTypes", [])) == _BOTH_WAYS and silent


def _names_somebody(peer: dict[str, Any]) -> bool:
    if "ipBlock" in peer:
        return not str(peer["ipBlock"].get("cidr", "/0")).endswith("/0")
    return bool(peer) and all(each.get("matchLabels") or each.get("matchExpressions") for each in peer.values())


def names_can_be_resolved(manifests: Manifests) -> Iterator[str]:
    """All pods may ask the cluster's DNS, and nothing else of where it is."""
    if COMPONENT not in manifests.components:
        return
    for policy in manifests.of_kind("NetworkPolicy"):
        for rule in policy["spec"].get("egress", []):
            asked = {(port.get("protocol"), port.get("port")) for port in rule.get("ports", [])}
            peers = rule.get("to", [])
            to_dns = len(peers) == 1 and peers[0].keys() == {"namespaceSelector", "podSelector"}
            if policy["spec"].get("podSelector") == {} and asked == _DNS and to_dns:
                return
    yield "NetworkPolicy: none lets all pods ask the cluster's DNS"


def out_to_exactly_whom_it_needs(manifests: Manifests) -> Iterator[str]:
    """Each process may connect to whom it has credentials or an address for, and to nobody else."""
    if COMPONENT not in manifests.components:
        return
    policies = {each["metadata"]["name"]: each["spec"] for each in manifests.of_kind("NetworkPolicy")}
    for name, spec in policies.items():
        whom = name.removeprefix("to-")
        ports = {port.get("port") for rule in spec.get("egress", []) for port in rule.get("ports", [])}
        if name.startswith("to-") and not (ports and ports <= PORTS.get(whom, set())):
            yield f"NetworkPolicy/{name}: is about other ports than those of {whom}"
    for workload in manifests.workloads:
        needed = connects_to(workload, manifests)
        let_out = {
            name.removeprefix("to-")
            for name, spec in policies.items()
            if name.startswith("to-") and "Egress" in spec.get("policyTypes", []) and _takes(spec, workload)
        }
        for whom in sorted(needed - let_out):
            yield f"{workload}: connects to {whom}, and no policy lets it out"
        for whom in sorted(let_out - needed):
            yield f"{workload}: is let out to {whom}, which it does not connect to"


def in_from_exactly_who_needs_it(manifests: Manifests) -> Iterator[str]:
    """Each of ours in the namespace lets in the processes that connect to it, and nobody else of the namespace."""
    if COMPONENT not in manifests.components:
        return
    needed = [(workload, connects_to(workload, manifests)) for workload in manifests.workloads]
    for whom, process in _PODS.items():
        for target in manifests.workloads:
            if target.process != process:
                continue
            for workload, those in needed:
                needs = whom in those or workload.process == target.process == "nats"
                if needs != bool(_ports_in(manifests, workload, target)):
                    verb = "is not let in to" if needs else "is let in without need to"
                    yield f"{workload}: {verb} {target}"


def outsiders_reach_what_is_theirs(manifests: Manifests) -> Iterator[str]:
    """The gateway reaches APIs and pages, Prometheus whoever has metrics."""
    if COMPONENT not in manifests.components:
        return
    for purpose, components in _FROM_OUTSIDE.items():
        labels = {f"access.radrelay.org/{purpose}": "true"}
        for workload in manifests.workloads:
            let_in = any(
                peer.keys() == {"namespaceSelector"} and selects(peer["namespaceSelector"], labels)
                for rule in _rules_in(manifests, workload)
                for peer in rule.get("from", [])
                if _names_somebody(peer)
            )
            component = workload.labels.get("app.kubernetes.io/component")
            needs = component in components or (purpose == "prometheus" and workload.process == "nats")
            if needs != let_in:
                yield f"{workload}: {purpose} is {'not ' if needs else ''}let in"
    for workload in manifests.workloads:
        dicom = any(port["name"] == "dicom" for c in workload.containers for port in c.get("ports", []))
        by_address = any("ipBlock" in peer for rule in _rules_in(manifests, workload) for peer in rule.get("from", []))
        if dicom != by_address:
            yield f"{workload}: addresses outside the cluster are {'not ' if dicom else ''}let in"
        if workload.process == "nats" and not _asked_by_keda(manifests, workload):
            yield f"{workload}: KEDA cannot ask how much waits"


def _asked_by_keda(manifests: Manifests, workload: Workload) -> bool:
    labels = {"access.radrelay.org/keda": "true"}
    return any(
        selects(peer.get("namespaceSelector", {"matchLabels": {"": ""}}), labels)
        for rule in _rules_in(manifests, workload)
        for peer in rule.get("from", [])
    )


def _takes(spec: dict[str, Any], workload: Workload) -> bool:
    return selects(spec.get("podSelector", {}), workload.labels)


def _rules_in(manifests: Manifests, workload: Workload) -> Iterator[dict[str, Any]]:
    for policy in manifests.of_kind("NetworkPolicy"):
        if "Ingress" in policy["spec"].get("policyTypes", []) and _takes(policy["spec"], workload):
            yield from policy["spec"].get("ingress", [])


def _ports_in(manifests: Manifests, source: Workload, target: Workload) -> set[int]:
    """On which ports a policy lets pods of `source` in to those of `target`."""
    return {
        port["port"]
        for rule in _rules_in(manifests, target)
        for peer in rule.get("from", [])
        for port in rule.get("ports", [])
        if peer.keys() == {"podSelector"} and "port" in port and selects(peer["podSelector"], source.labels)
    }


RULES: Final = (
    closed_both_ways,
    names_can_be_resolved,
    out_to_exactly_whom_it_needs,
    in_from_exactly_who_needs_it,
    outsiders_reach_what_is_theirs,
)
