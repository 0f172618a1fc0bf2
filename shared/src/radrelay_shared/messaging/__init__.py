"""NATS JetStream with the delivery rules of the product: nothing lost, nothing twice, nothing stuck."""

from radrelay_shared.messaging import topology as durables
from radrelay_shared.messaging.cancellations import Cancellations
from radrelay_shared.messaging.connection import NatsSettings, broker_ready, connect
from radrelay_shared.messaging.consumer import Consumer
from radrelay_shared.messaging.delivery import Delivery, Handle, Poison, Together
from radrelay_shared.messaging.publisher import Outgoing, Publisher, PublishError
from radrelay_shared.messaging.topology import (
    Durable,
    LaneFamily,
    StreamLimits,
    ensure_topology,
    subject_for,
    subject_of,
)

__all__ = [
    "Cancellations",
    "Consumer",
    "Delivery",
    "Durable",
    "Handle",
    "LaneFamily",
    "NatsSettings",
    "Outgoing",
    "Poison",
    "PublishError",
    "Publisher",
    "StreamLimits",
    "Together",
    "broker_ready",
    "connect",
    "durables",
    "ensure_topology",
    "subject_for",
    "subject_of",
]
