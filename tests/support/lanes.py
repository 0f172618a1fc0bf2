"""Durables of a test's own."""

from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig

from radrelay_shared.events import Urgency
from radrelay_shared.messaging import Durable, durables


async def lane(
    js: JetStreamContext, tenant: str, urgency: Urgency = Urgency.ROUTINE, *, ack_wait_s: float = 30.0
) -> Durable:
    """A durable of this test's own that sees only this test's tenant."""
    subject = f"radrelay.v1.{tenant}.instance.stored.{urgency}"
    durable = Durable(f"{tenant}-{urgency}", durables.INSTANCES, (subject,), ack_wait_s=ack_wait_s, max_attempts=3)
    await js.add_consumer(
        durable.stream.name,
        ConsumerConfig(
            name=durable.name, durable_name=durable.name, filter_subjects=[subject], ack_wait=ack_wait_s, max_deliver=-1
        ),
    )
    return durable
