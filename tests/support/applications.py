"""The HTTP applications of the stateful services, as tests that are about all of them need them."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from pydantic import SecretStr

import dashboard_service.main
import ingest_service.main
import report_service.main
from dashboard_service.settings import DashboardSettings
from ingest_service.settings import IngestSettings
from radrelay_shared.auth import AuthSettings
from radrelay_shared.database import DatabaseSettings
from radrelay_shared.messaging import NatsSettings
from report_service.settings import DestinationSettings, LinkSettings, ReportSettings
from support.events import RECEIVED_AT
from support.patients import new_key
from support.stack import Infrastructure

LISTS = {
    "ingest": "/v1/batches",
    "report": "/v1/reports",
    "dashboard": f"/v1/summary?first={RECEIVED_AT:%Y-%m-%d}&last={RECEIVED_AT:%Y-%m-%d}",
}
"""A read of each service that asks its database."""
LINK_KEYS = (SecretStr("a key that no installation has, 5678"),)
"""Of the report service: what its links to pictures are signed with."""
DESTINATIONS = DestinationSettings(hosts=("https://ris.example.org",), sealing=(new_key(),))
"""Of the report service: where results may be sent to."""


def settings_of(service: str, infra: Infrastructure, auth: AuthSettings, database: DatabaseSettings) -> Any:
    """The settings of a service."""
    common: dict[str, Any] = {"nats": NatsSettings(url=infra.nats_url), "auth": auth, "database": database}
    if service == "dashboard":
        return DashboardSettings(**common)
    common["objects"] = infra.objects
    if service == "report":
        return ReportSettings(links=LinkSettings(keys=LINK_KEYS), destinations=DESTINATIONS, **common)
    return IngestSettings(**common)


def application_of(service: str, infra: Infrastructure, auth: AuthSettings, database: DatabaseSettings) -> FastAPI:
    """The application of a service."""
    creators: dict[str, Callable[[Any], FastAPI]] = {
        "ingest": ingest_service.main.create_app,
        "report": report_service.main.create_app,
        "dashboard": dashboard_service.main.create_app,
    }
    return creators[service](settings_of(service, infra, auth, database))
