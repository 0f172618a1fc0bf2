"""What a service's migration command does before its other processes start, and how they wait for it."""

import argparse
import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import asyncpg
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict
from sqlalchemy import URL, make_url

from radrelay_shared.database.migrations import migrate
from radrelay_shared.database.provision import ROLES, provision_service
from radrelay_shared.database.settings import DatabaseSettings
from radrelay_shared.database.waiting import wait_for_schema
from radrelay_shared.observability import ObservabilitySettings, configure
from radrelay_shared.settings import ServiceSettings

_log = logging.getLogger(__name__)


class MigrationSettings(ServiceSettings):
    """What the migration command of any service reads, and nothing that its other processes need."""

    model_config = SettingsConfigDict(env_nested_delimiter="__", hide_input_in_errors=True, extra="ignore")

    database: DatabaseSettings
    observability: ObservabilitySettings = Field(default_factory=ObservabilitySettings)

    @classmethod
    def for_service(cls, service: str) -> type["MigrationSettings"]:
        """Those of one service, with its prefix: RADRELAY_REPORT_DATABASE__OWNER_URL."""
        prefix = SettingsConfigDict(env_prefix=f"RADRELAY_{service.upper()}_")
        return type(cls.__name__, (cls,), {"model_config": prefix})


def main(service: str, arguments: Sequence[str] | None = None) -> None:
    """`python -m <service>_service.migrate`: migrate the database that the environment names; or wait for that.

    Raises:
        ValueError: an address that is needed is not set.
    """
    parser = argparse.ArgumentParser(f"{service}_service.migrate", description=prepare_database.__doc__)
    parser.add_argument(
        "--wait", action="store_true", help="change nothing: return when somebody else has brought the schema so far"
    )
    chosen = parser.parse_args(arguments)
    given: dict[str, Any] = {}  # nothing: all of it comes from the environment and from files
    settings = MigrationSettings.for_service(service)(**given)
    configure(f"{service}-migrate", settings.observability)
    if chosen.wait:
        asyncio.run(wait_for_schema(service, settings.database))
    else:
        prepare_database(service, settings.database)


def prepare_database(service: str, settings: DatabaseSettings) -> None:
    """Bring the schema of `service` to its newest revision.

    Where an administrator's address is set, roles and schema are made first, and the roles get the passwords of their
    addresses: so a password is changed by changing the address.

    Raises:
        ValueError: an address that is needed is not set, or has another role's name or no password.
    """
    owner = _needed("owner", settings.owner_url)
    if settings.admin_url is not None:
        addresses = {"owner": owner, "app": settings.app_url, "system": _needed("system", settings.system_url)}
        passwords = {role: _password(service, role, addresses[role]) for role in ROLES}
        asyncio.run(_provision(service, settings, settings.admin_url, passwords))
        _log.info("roles and schema are there", extra={"schema": service})
    migrate(f"{service}_service", owner.get_secret_value(), tls=settings.tls())


def _needed(role: str, address: SecretStr | None) -> SecretStr:
    if address is None:
        raise ValueError(f"no address of the {role} role is set (DATABASE__{role.upper()}_URL)")
    return address


def _password(service: str, role: str, address: SecretStr) -> str:
    url = make_url(address.get_secret_value())
    if url.username != f"{service}_{role}" or not url.password:
        raise ValueError(f"DATABASE__{role.upper()}_URL needs the user {service}_{role} and a password")
    return url.password


async def _provision(service: str, settings: DatabaseSettings, admin: SecretStr, passwords: dict[str, str]) -> None:
    tls = settings.tls()
    connection = await asyncpg.connect(_for_asyncpg(make_url(admin.get_secret_value())), ssl=tls)
    try:
        await provision_service(connection, service, passwords)
    finally:
        await connection.close()


def _for_asyncpg(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
