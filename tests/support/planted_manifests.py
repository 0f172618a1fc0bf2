"""Faults that are no field taken away: something somebody might add, and the rule that must notice it."""

import copy
from collections.abc import Callable
from typing import Any

from deploy.k8s.checks.rendering import Object

Fault = Callable[[dict[str, Object]], None]
"""Changes objects, which are given by kind and name."""


def _pod(objects: dict[str, Object], name: str = "Deployment/ingest-api") -> dict[str, Any]:
    pod: dict[str, Any] = objects[name]["spec"]["template"]["spec"]
    return pod


def _container(objects: dict[str, Object], name: str = "Deployment/ingest-api") -> dict[str, Any]:
    container: dict[str, Any] = _pod(objects, name)["containers"][0]
    return container


def _host_network(objects: dict[str, Object]) -> None:
    _pod(objects)["hostNetwork"] = True


def _host_path(objects: dict[str, Object]) -> None:
    _pod(objects)["volumes"].append({"name": "node", "hostPath": {"path": "/var"}})


def _host_port(objects: dict[str, Object]) -> None:
    _container(objects)["ports"][0]["hostPort"] = 8000


def _privileged(objects: dict[str, Object]) -> None:
    _container(objects)["securityContext"]["privileged"] = True


def _root_in_a_container(objects: dict[str, Object]) -> None:
    _container(objects)["securityContext"]["runAsUser"] = 0


def _latest(objects: dict[str, Object]) -> None:
    _container(objects)["image"] = "registry.example.org:5000/radrelay/ingest:latest"


def _no_tag(objects: dict[str, Object]) -> None:
    _container(objects)["image"] = "registry.example.org:5000/radrelay/ingest"


def _secret_in_the_environment(objects: dict[str, Object]) -> None:
    reference = {"secretKeyRef": {"name": "nats", "key": "password"}}
    _container(objects)["env"].append({"name": "PASSWORD", "valueFrom": reference})


def _whole_secret_in_the_environment(objects: dict[str, Object]) -> None:
    _container(objects)["envFrom"].append({"secretRef": {"name": "nats"}})


def _whole_secret_as_a_volume(objects: dict[str, Object]) -> None:
    _pod(objects)["volumes"].append({"name": "all", "secret": {"secretName": "nats"}})


def _owner_for_an_api(objects: dict[str, Object]) -> None:
    secret = _pod(objects)["volumes"][0]["projected"]["sources"][0]["secret"]
    secret["items"].append({"key": "owner_url", "path": "radrelay_ingest_database__owner_url"})


def _readiness_kills(objects: dict[str, Object]) -> None:
    container = _container(objects)
    container["livenessProbe"] = copy.deepcopy(container["readinessProbe"]) | {"failureThreshold": 60}


def _probe_of_no_port(objects: dict[str, Object]) -> None:
    _container(objects)["readinessProbe"]["httpGet"]["port"] = "health"


def _drain_longer_than_grace(objects: dict[str, Object]) -> None:
    _container(objects)["command"].append("--timeout-graceful-shutdown=120")


def _two_scalers(objects: dict[str, Object]) -> None:
    autoscaler = copy.deepcopy(objects["HorizontalPodAutoscaler/ingest-api"])
    autoscaler["metadata"]["name"] = "second"
    autoscaler["spec"]["scaleTargetRef"]["name"] = "ingest-worker"
    objects["HorizontalPodAutoscaler/second"] = autoscaler


def _replicas_and_a_scaler(objects: dict[str, Object]) -> None:
    objects["Deployment/ingest-worker"]["spec"]["replicas"] = 2


def _lag_of_followers(objects: dict[str, Object]) -> None:
    trigger = objects["ScaledObject/inference-worker"]["spec"]["triggers"][0]
    trigger["metadata"]["query"] = trigger["metadata"]["query"].replace('is_consumer_leader="true"', "", 1)


def _route_to_everything(objects: dict[str, Object]) -> None:
    rule = objects["HTTPRoute/radrelay"]["spec"]["rules"][0]
    rule["matches"][0]["path"]["value"] = "/api/ingest"
    rule["filters"][0]["urlRewrite"]["path"]["replacePrefixMatch"] = "/"


def _route_to_metrics(objects: dict[str, Object]) -> None:
    rule = objects["HTTPRoute/radrelay"]["spec"]["rules"][0]
    rule["matches"][0]["path"] = {"type": "Exact", "value": "/api/ingest/metrics"}
    rule["filters"][0]["urlRewrite"]["path"]["replacePrefixMatch"] = "/metrics"


def _service_of_nobody(objects: dict[str, Object]) -> None:
    objects["Service/ingest-api"]["spec"]["selector"] = {"app.kubernetes.io/name": "nobody"}


def _service_of_no_port(objects: dict[str, Object]) -> None:
    objects["Service/ingest-api"]["spec"]["ports"][0]["targetPort"] = "health"


def _other_namespace(objects: dict[str, Object]) -> None:
    objects["Service/ingest-api"]["metadata"]["namespace"] = "default"


def _open_to_everybody(objects: dict[str, Object]) -> None:
    objects["NetworkPolicy/to-nats"]["spec"]["egress"][0]["to"].append({"ipBlock": {"cidr": "0.0.0.0/0"}})


def _dashboard_to_objects(objects: dict[str, Object]) -> None:
    expression = objects["NetworkPolicy/to-objects"]["spec"]["podSelector"]["matchExpressions"][0]
    expression["values"].append("dashboard-api")


def _api_to_destinations(objects: dict[str, Object]) -> None:
    objects["NetworkPolicy/to-destinations"]["spec"]["podSelector"] = {
        "matchExpressions": [
            {"key": "app.kubernetes.io/name", "operator": "In", "values": ["report-api", "report-worker"]}
        ]
    }


def _no_way_to_destinations(objects: dict[str, Object]) -> None:
    del objects["NetworkPolicy/to-destinations"]


def _destinations_on_any_service(objects: dict[str, Object]) -> None:
    objects["NetworkPolicy/to-destinations"]["spec"]["egress"][0]["ports"].append({"protocol": "TCP", "port": 5432})


def _frontend_into_postgres(objects: dict[str, Object]) -> None:
    peer = objects["NetworkPolicy/postgres"]["spec"]["ingress"][0]["from"][0]
    peer["podSelector"]["matchExpressions"][0]["values"].append("frontend")


def _worker_behind_the_gateway(objects: dict[str, Object]) -> None:
    policy = objects["NetworkPolicy/from-gateway-to-apis"]
    policy["spec"]["podSelector"]["matchExpressions"][0]["values"].append("report-worker")


def _gpu_that_is_not_used(objects: dict[str, Object]) -> None:
    environment = _container(objects, "Deployment/model-server")["env"]
    environment[:] = [each for each in environment if each["name"] != "RADRELAY_INFERENCE_DEVICE"]


def _two_kinds_of_gpu(objects: dict[str, Object]) -> None:
    _container(objects, "Deployment/model-server")["resources"]["limits"]["nvidia.com/mig-1g.18gb"] = "1"


def _hidden_peers(objects: dict[str, Object]) -> None:
    objects["Service/ingest-dimse"]["spec"]["externalTrafficPolicy"] = "Cluster"


NOTICING: dict[str, list[Fault]] = {
    "shares_nothing_with_the_node": [_host_network, _host_path, _host_port],
    "has_no_privileges": [_privileged, _root_in_a_container],
    "image_has_a_version": [_latest, _no_tag],
    "secrets_are_files": [_secret_in_the_environment, _whole_secret_in_the_environment],
    "secrets_are_given_by_key": [_whole_secret_as_a_volume],
    "only_migrations_may_change_schemas": [_owner_for_an_api],
    "is_probed": [_readiness_kills, _probe_of_no_port],
    "ends_in_order": [_drain_longer_than_grace],
    "has_one_scaler": [_two_scalers, _replicas_and_a_scaler],
    "knows_when_it_is_blind": [_lag_of_followers],
    "clients_never_reach_the_inside": [_route_to_everything, _route_to_metrics],
    "services_reach_somebody": [_service_of_nobody, _service_of_no_port],
    "everything_is_in_the_namespace": [_other_namespace],
    "closed_both_ways": [_open_to_everybody],
    "out_to_exactly_whom_it_needs": [
        _dashboard_to_objects,
        _api_to_destinations,
        _no_way_to_destinations,
        _destinations_on_any_service,
    ],
    "in_from_exactly_who_needs_it": [_frontend_into_postgres],
    "outsiders_reach_what_is_theirs": [_worker_behind_the_gateway],
    "gpus_are_used": [_gpu_that_is_not_used, _two_kinds_of_gpu],
    "dicom_peers_keep_their_address": [_hidden_peers],
}
"""Faults by the rule that must notice them."""
