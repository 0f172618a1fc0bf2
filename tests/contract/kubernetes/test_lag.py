"""What workers are scaled by is what a real cluster says: the rendered NATS configuration, run, with lanes filled.

KEDA and Prometheus are not here. What they would see is made from `/jsz` as they make it: KEDA's nats-jetstream scaler
adds `num_pending` and `num_ack_pending` of one consumer, as its leader has them; the exporter gives both as metrics,
with the consumer's name, its stream, and whether the server that was asked leads it.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import nats.errors
import pytest
from nats.js import JetStreamContext

from dashboard_service.settings import DashboardSettings
from radrelay_shared.database import DatabaseSettings
from radrelay_shared.events import Urgency
from radrelay_shared.messaging import connect, ensure_topology
from radrelay_shared.messaging.topology import (
    AUDIT_HEADS_OF,
    DURABLES,
    INFERENCE_LANES,
    INSTANCES,
    STREAMS,
    ensure_durable,
)
from report_service.settings import ReportSettings
from support.manifests import FULL_CPU, rendered, workload
from support.nats_cluster import Server, run_cluster, settings

TENANTS = ("north", "south", "west-2")
WAITING = {Urgency.STAT: 2, Urgency.URGENT: 3, Urgency.ROUTINE: 5}
"""Messages of each tenant, by lane."""
IN_HAND = 2
"""Of one tenant's routine lane, fetched and not acknowledged."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    (configuration,) = [
        each["data"]["nats.conf"]
        for each in rendered(*FULL_CPU).of_kind("ConfigMap")
        if each["metadata"]["name"].startswith("nats-configuration-")
    ]
    with run_cluster(configuration, tmp_path_factory.mktemp("nats-cluster")) as servers:
        yield servers


@pytest.fixture(scope="module")
async def filled(cluster: list[Server]) -> AsyncIterator[JetStreamContext]:
    """Every stream and durable, lanes of three tenants with work in them, and some of it in hand."""
    async with connect(settings(cluster[0]), name="test") as client:
        js = client.jetstream(timeout=60)  # three servers have to agree, on a machine that may be busy
        await ensure_topology(js, settings(cluster[0]).streams)
        for lane, urgency in zip(INFERENCE_LANES, Urgency, strict=True):
            for tenant in TENANTS:
                await ensure_durable(js, lane.durable(tenant))
                for _ in range(WAITING[urgency]):
                    await js.publish(lane.subject.replace("*", tenant, 1), b"{}")
        routine = INFERENCE_LANES[-1].durable(TENANTS[0])
        subscription = await js.pull_subscribe_bind(routine.name, routine.stream.name)
        assert len(await subscription.fetch(IN_HAND, timeout=10)) == IN_HAND
        yield js


def consumers(server: Server) -> Iterator[tuple[str, dict[str, Any]]]:
    """Stream and consumer, as one server tells of them."""
    for account in server.ask("/jsz?acc=%24G&consumers=true&config=true").get("account_details", []):
        for stream in account.get("stream_detail", []):
            for consumer in stream.get("consumer_detail", []):
                yield stream["name"], consumer


def series(cluster: list[Server]) -> list[tuple[str, dict[str, str], int]]:
    """What NATS's exporter beside each server would give to Prometheus."""
    found: list[tuple[str, dict[str, str], int]] = []
    for server in cluster:
        for stream, consumer in consumers(server):
            leads = consumer.get("cluster", {}).get("leader", server.name) == server.name
            labels = {
                "stream_name": stream,
                "consumer_name": consumer["name"],
                "is_consumer_leader": str(leads).lower(),
            }
            found.append(("jetstream_consumer_num_pending", labels, consumer["num_pending"]))
            found.append(("jetstream_consumer_num_ack_pending", labels, consumer["num_ack_pending"]))
    return found


def value_of(query: str, known: list[tuple[str, dict[str, str], int]]) -> int:
    """The value of sums of selectors that are added to each other, which is all that the queries for lanes are."""
    sums, _, without_any = query.partition("\nor ")
    assert without_any.strip() == "0 * count(jetstream_server_total_streams)"
    total = 0
    for term in re.split(r"\n\+ ", sums.strip()):
        match = re.fullmatch(r"sum\((\w+)\{(.*)\}\)", term.strip())
        assert match, term
        name, matchers = match[1], re.findall(r'(\w+)(=~|=)"([^"]*)"', match[2])
        wanted = [
            value
            for each, labels, value in known
            if each == name and all(_fits(labels[label], how, text) for label, how, text in matchers)
        ]
        total += sum(wanted)
    return total


def _fits(value: str, how: str, text: str) -> bool:
    return value == text if how == "=" else re.fullmatch(text, value) is not None


def scaled_object(name: str) -> dict[str, Any]:
    (found,) = [each for each in rendered(*FULL_CPU).of_kind("ScaledObject") if each["metadata"]["name"] == name]
    return found


def triggers(name: str) -> dict[str, dict[str, str]]:
    return {each["name"]: each["metadata"] for each in scaled_object(name)["spec"]["triggers"]}


@pytest.mark.parametrize("scaled", ["inference-worker", "model-server"])
async def test_each_lane_counts_what_all_tenants_have_waiting_and_in_hand(
    cluster: list[Server], filled: JetStreamContext, scaled: str
) -> None:
    expected = {urgency.value: count * len(TENANTS) for urgency, count in WAITING.items()}
    assert triggers(scaled).keys() == expected.keys()

    def lags() -> dict[str, int]:
        known = series(cluster)
        return {lane: value_of(metadata["query"], known) for lane, metadata in triggers(scaled).items()}

    async with asyncio.timeout(30):
        while lags() != expected:
            await asyncio.sleep(0.1)
    led = [each for each in series(cluster) if each[1]["is_consumer_leader"] == "true"]
    assert sum(value for name, _, value in led if name.endswith("num_ack_pending")) == IN_HAND


async def test_more_urgent_lanes_ask_for_more_pods_sooner(filled: JetStreamContext) -> None:
    thresholds = [float(triggers("inference-worker")[lane.value]["threshold"]) for lane in Urgency]
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < thresholds[-1] / 10


async def test_each_durable_that_keda_asks_for_is_there_and_each_that_is_made_is_asked_for(
    cluster: list[Server], filled: JetStreamContext
) -> None:
    asked = {
        (metadata["stream"], metadata["consumer"])
        for name in ("ingest-worker", "report-worker", "dashboard-worker")
        for metadata in triggers(name).values()
    }
    assert asked == {(durable.stream.name, durable.name) for durable in DURABLES}
    led = {
        (stream, consumer["name"])
        for server in cluster
        for stream, consumer in consumers(server)
        if consumer["cluster"]["leader"] == server.name
    }
    assert asked <= led
    lanes = {(INSTANCES.name, lane.durable(tenant).name) for lane in INFERENCE_LANES for tenant in TENANTS}
    assert led - asked == lanes


@pytest.mark.parametrize(
    ("scaled", "in_hand_of_one"),
    [
        ("ingest-worker", DatabaseSettings.model_fields["pool_size"].default),
        ("report-worker", ReportSettings.model_fields["max_in_flight"].default),
        ("dashboard-worker", DashboardSettings.model_fields["max_in_flight"].default),
    ],
)
async def test_the_last_worker_that_keda_starts_gets_work_too(
    filled: JetStreamContext, scaled: str, in_hand_of_one: int
) -> None:
    workers = scaled_object(scaled)["spec"]["maxReplicaCount"]
    for metadata in triggers(scaled).values():
        info = await filled.consumer_info(metadata["stream"], metadata["consumer"])
        assert info.config.max_ack_pending is not None
        assert info.config.max_ack_pending >= workers * in_hand_of_one


async def test_each_stream_is_on_three_servers_and_nobody_takes_back_what_was_published_of_an_audit_chain(
    filled: JetStreamContext,
) -> None:
    for stream in STREAMS:
        info = await filled.stream_info(stream.name)
        assert info.config.num_replicas == 3
    for stream in AUDIT_HEADS_OF.values():
        with pytest.raises(nats.errors.TimeoutError):  # a denied request is answered by nobody
            await filled._nc.request(f"$JS.API.STREAM.DELETE.{stream.name}", b"", timeout=1)
        assert (await filled.stream_info(stream.name)).config.name == stream.name


def test_probes_ask_what_servers_answer(cluster: list[Server]) -> None:
    (container, _) = workload(rendered(*FULL_CPU), "nats").main_containers
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert all(server.ask(container[probe]["httpGet"]["path"]) == {"status": "ok"} for server in cluster)


async def test_an_acknowledged_message_is_on_disk(cluster: list[Server], filled: JetStreamContext) -> None:
    for server in cluster:
        assert server.ask("/jsz?config=true")["config"]["sync_always"] is True
