"""Names of durables, streams and subjects."""

import pytest

from radrelay_shared.events import Urgency
from radrelay_shared.messaging import durables
from radrelay_shared.messaging.topology import dead_letter_subject, subject_for
from support.events import audit_head_published


def test_each_tenant_and_lane_has_a_durable_of_its_own() -> None:
    tenants = ["a", "b", "a-b", "stat", "stat-a", "0", "x" * 63]
    made = [lane.durable(tenant) for lane in durables.INFERENCE_LANES for tenant in tenants]
    assert len({durable.name for durable in made}) == len({durable.filter_subjects for durable in made}) == len(made)


def test_a_durable_of_a_lane_sees_its_tenant_and_lane_alone() -> None:
    (stat, *_), durable = durables.INFERENCE_LANES, durables.INFERENCE_LANES[0].durable("north")
    assert (stat.name, durable.name) == (f"inference-{Urgency.STAT}", "inference-stat-north")
    assert durable.filter_subjects == ("radrelay.v1.north.instance.stored.stat",)


def test_lanes_are_in_order_of_urgency() -> None:
    assert [lane.name for lane in durables.INFERENCE_LANES] == [f"inference-{urgency}" for urgency in Urgency]


def test_no_tenant_shows_in_metrics_or_in_the_name_of_who_buried_a_message() -> None:
    durable = durables.INFERENCE_LANES[2].durable("north")
    assert durable.label == "inference-routine"
    assert dead_letter_subject("north", durable) == "radrelay.v1.north.deadletter.inference-routine"
    assert durables.REPORT_RESULTS.label == "report-results"


def test_each_services_audit_heads_have_a_stream_of_their_own_and_intakes_keep_their_subject() -> None:
    events = {name: audit_head_published(tenant="north", service=name) for name in durables.AUDIT_HEADS_OF}
    assert {name: subject_for(event) for name, event in events.items()} == {
        "ingest": "radrelay.v1.north.audit.head_published",
        "report": "radrelay.v1.north.audit.head_published.report",
    }
    assert len({stream.name for stream in durables.AUDIT_HEADS_OF.values()}) == len(events)
    assert all(stream.permanent for stream in durables.AUDIT_HEADS_OF.values())


@pytest.mark.parametrize("tenant", ["", "North", "a b", "*", "a/b", "a\n", "-a", "x" * 64])
def test_what_is_no_tenant_gets_no_durable(tenant: str) -> None:
    with pytest.raises(ValueError, match="no name of a tenant"):
        durables.INFERENCE_LANES[0].durable(tenant)
