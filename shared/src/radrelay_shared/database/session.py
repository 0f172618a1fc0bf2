"""Transactions that carry their tenant: row security sees it, and it is gone with the transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from pydantic import BaseModel, SecretStr
from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, SessionTransaction

from radrelay_shared.auth.principal import Principal

ScopeRole = Literal["clinician", "tenant_admin", "service"]

_SET_SCOPE = text(
    "SELECT set_config('radrelay.tenant', :tenant, true),"
    " set_config('radrelay.owner', :owner, true),"
    " set_config('radrelay.role', :role, true)"
)


class DatabaseSettings(BaseModel):
    """One address per role, as postgresql+asyncpg://user:password@host:port/database."""

    app_url: SecretStr
    """Runtime role: not an owner, row security applies."""
    system_url: SecretStr | None = None
    """Relay and sweeper: sees across tenants what they need and nothing else."""
    owner_url: SecretStr | None = None
    """Owns the schema; only migrations use it."""
    pool_size: int = 5
    max_overflow: int = 5


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose rows a transaction may see and write."""

    tenant: str
    owner_id: str
    role: ScopeRole

    @classmethod
    def of(cls, principal: Principal) -> Self:
        """What a caller may see: an administrator the tenant, anybody else their own."""
        return cls(principal.tenant, principal.owner_id, "tenant_admin" if principal.is_tenant_admin else "clinician")

    @classmethod
    def service(cls, tenant: str) -> Self:
        """A consumer at work for one tenant."""
        return cls(tenant, "", "service")


class Database:
    """An engine and its transactions. Use as an async context manager; closing it closes the pool."""

    def __init__(self, url: str | SecretStr, *, pool_size: int = 5, max_overflow: int = 5) -> None:
        self.url = url.get_secret_value() if isinstance(url, SecretStr) else url
        self.engine = create_async_engine(
            self.url, pool_size=pool_size, max_overflow=max_overflow, pool_pre_ping=True, hide_parameters=True
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False, autobegin=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.engine.dispose()

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[AsyncSession]:
        """One transaction under `scope`: commits when the block ends, rolls back on any exception or cancellation."""
        async with self._sessions() as session:
            parameters = {"tenant": scope.tenant, "owner": scope.owner_id, "role": scope.role}

            @event.listens_for(session.sync_session, "after_begin")
            def set_scope(_: Session, __: SessionTransaction, connection: Connection) -> None:
                connection.execute(_SET_SCOPE, parameters)

            async with session.begin():
                yield session

    @asynccontextmanager
    async def system_transaction(self) -> AsyncIterator[AsyncSession]:
        """One transaction without a tenant, for the system role: its policies say what it sees."""
        async with self._sessions() as session, session.begin():
            yield session

    async def ready(self) -> None:
        """Raise when the server does not answer."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    @property
    def dsn(self) -> str:
        """The address in the form that asyncpg itself takes, for LISTEN."""
        return self.url.replace("postgresql+asyncpg://", "postgresql://", 1)

    def __repr__(self) -> str:
        return f"Database({self.engine.url!r})"
