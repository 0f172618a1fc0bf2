"""What a service's migration command does before its other processes start."""

import asyncio
import logging

import asyncpg
from pydantic import SecretStr
from sqlalchemy import URL, make_url

from radrelay_shared.database.migrations import migrate
from radrelay_shared.database.provision import ROLES, provision_service
from radrelay_shared.database.settings import DatabaseSettings

_log = logging.getLogger(__name__)


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
