"""Outbox to JetStream."""

from nats.js import JetStreamContext

from radrelay_shared.database import Database, OutboxRelay
from radrelay_shared.messaging import Publisher
from report_service.adapters.tables import OutboxRow


def outbox_relay(database: Database, js: JetStreamContext) -> OutboxRelay:
    """The relay of this service's outbox. `database` connects as the system role."""
    return OutboxRelay(database, OutboxRow, Publisher(js))
