"""The queries that lanes and the fallback are scaled by, evaluated by Prometheus' own promtool."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from support.manifests import FULL_GPU, rendered
from support.promtool import promtool

PENDING, IN_HAND = "jetstream_consumer_num_pending", "jetstream_consumer_num_ack_pending"


def queries(scaled: str) -> dict[str, str]:
    (found,) = [each for each in rendered(*FULL_GPU).of_kind("ScaledObject") if each["metadata"]["name"] == scaled]
    return {each.get("name", ""): each["metadata"]["query"] for each in found["spec"]["triggers"]}


def consumer(metric: str, name: str, server: str, value: int, *, leads: bool = True) -> dict[str, str]:
    labels = f'stream_name="RADRELAY_INSTANCES", consumer_name="{name}", is_consumer_leader="{str(leads).lower()}"'
    return {"series": f'{metric}{{{labels}, server_name="{server}"}}', "values": str(value)}


def exporter(server: str) -> dict[str, str]:
    return {"series": f'jetstream_server_total_streams{{server_name="{server}"}}', "values": "6"}


def evaluate(folder: Path, series: list[dict[str, str]], expected: dict[str, float | None]) -> str:
    """Nothing where promtool finds of each query the one value that is expected, or none; else what it says."""
    expressions: list[dict[str, Any]] = [
        {"expr": query, "exp_samples": [] if value is None else [{"labels": "{}", "value": value}]}
        for query, value in expected.items()
    ]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": expressions}
    (folder / "test.yaml").write_text(yaml.safe_dump({"rule_files": [], "tests": [test]}))
    done = promtool("test", "rules", folder / "test.yaml")
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("scaled", ["inference-worker", "model-server"])
def test_a_lane_is_the_sum_of_what_leaders_say_of_its_tenants(tmp_path: Path, scaled: str) -> None:
    series = [
        consumer(PENDING, "inference-stat-north", "nats-0", 3),
        consumer(PENDING, "inference-stat-north", "nats-1", 99, leads=False),
        consumer(IN_HAND, "inference-stat-north", "nats-0", 2),
        consumer(PENDING, "inference-stat-south", "nats-1", 4),
        consumer(IN_HAND, "inference-stat-south", "nats-1", 0),
        consumer(PENDING, "inference-routine-north", "nats-0", 50),
        consumer(IN_HAND, "inference-routine-north", "nats-0", 0),
        exporter("nats-0"),
    ]
    lanes = queries(scaled)
    assert evaluate(tmp_path, series, {lanes["stat"]: 9, lanes["urgent"]: 0, lanes["routine"]: 50}) == ""
    assert "stat" in evaluate(tmp_path, series, {lanes["stat"]: 108})


def test_without_any_tenant_lanes_are_empty_and_without_the_exporter_they_are_unknown(tmp_path: Path) -> None:
    lanes = queries("inference-worker").values()
    assert evaluate(tmp_path, [exporter("nats-0"), exporter("nats-1")], dict.fromkeys(lanes, 0)) == ""
    assert evaluate(tmp_path, [{"series": "up", "values": "1"}], dict.fromkeys(lanes, None)) == ""


def test_the_fallback_is_asked_for_while_no_gpu_serves(tmp_path: Path) -> None:
    (query,) = queries("model-server-cpu").values()
    labels = 'namespace="radrelay", deployment="model-server"'
    for available, asked in ((0, 1), (1, 0)):
        series = [{"series": f"kube_deployment_status_replicas_available{{{labels}}}", "values": str(available)}]
        assert evaluate(tmp_path, series, {f"sum({query})": asked}) == ""
