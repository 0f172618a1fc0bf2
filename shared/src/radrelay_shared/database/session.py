"""Transactions that carry their tenant: row security sees it, and it is gone with the transaction."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ssl import SSLContext
from types import TracebackType
from typing import Any, Final, Literal, Self

import asyncpg
from pydantic import SecretStr
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, SessionTransaction

from radrelay_shared.auth.principal import Principal

ScopeRole = Literal["clinician", "tenant_admin", "service"]

_SET_SCOPE = text(
    "SELECT set_config('radrelay.tenant', :tenant, true),"
    " set_config('radrelay.owner', :owner, true),"
    " set_config('radrelay.role', :role, true)"
)

_SCOPE = "scope"

_NOTHING_PREPARED: Final[dict[str, Any]] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    # The unnamed statement lasts as long as it is used. A name could be another client's on the same server
    # connection, and would stay there for ever.
    "prepared_statement_name_func": lambda: "",
}
"""How asyncpg, and SQLAlchemy above it, are told to leave nothing behind on a connection."""


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


class _ScopedSession(Session):
    """A session whose transactions begin with the scope in its `info`, if there is one."""


@event.listens_for(_ScopedSession, "after_begin")
def _set_scope(session: Session, _: SessionTransaction, connection: Connection) -> None:
    scope = session.info.get(_SCOPE)
    if scope is not None:
        connection.execute(_SET_SCOPE, {"tenant": scope.tenant, "owner": scope.owner_id, "role": scope.role})


def _check_open(connection: Any, _record: Any, _proxy: Any) -> None:
    """Take no connection from the pool that the server has closed, as when it was started again.

    The driver hears of that by itself. Asking the server each time would cost as much as a short transaction does.
    """
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError("closed by the server")


class Database:
    """An engine and its transactions. Use as an async context manager; closing it closes the pool."""

    def __init__(
        self,
        url: str | SecretStr,
        *,
        pool_size: int = 10,
        max_overflow: int = 0,
        begin_timeout_s: float = 30.0,
        listen_url: str | SecretStr | None = None,
        tls: SSLContext | None = None,
        keeps_statements: bool = True,
    ) -> None:
        """Open nothing yet.

        Args:
            url: as postgresql+asyncpg://user:password@host:port/database.
            pool_size: connections that are kept.
            max_overflow: connections beyond those.
            begin_timeout_s: how long a transaction under a scope may take to begin.
            listen_url: where LISTEN works, in the same form; `url` where it is None.
            tls: what to check the server's certificate with; None: whatever the server has, unchecked.
            keeps_statements: whether a connection may prepare statements by name and come back to them.
        """
        self.url = _plain(url)
        self._begin_timeout_s = begin_timeout_s
        self._listen_url = self.url if listen_url is None else _plain(listen_url)
        self._tls: dict[str, Any] = {} if tls is None else {"ssl": tls}
        self.engine = create_async_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=max_overflow,
            hide_parameters=True,
            connect_args=self._tls | ({} if keeps_statements else _NOTHING_PREPARED),
        )
        event.listen(self.engine.sync_engine, "checkout", _check_open)
        self._sessions = async_sessionmaker(
            self.engine, sync_session_class=_ScopedSession, expire_on_commit=False, autobegin=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.engine.dispose()

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[AsyncSession]:
        """One transaction under `scope`: commits when the block ends, rolls back on any exception or cancellation.

        Raises:
            OSError, sqlalchemy.exc.DBAPIError: no connection is free in time, or the server is away or does not answer.
        """
        async with self._sessions(info={_SCOPE: scope}) as session, session.begin():
            # Sets the scope now, which is asked of the server: what waits without end, waits here.
            async with asyncio.timeout(self._begin_timeout_s):
                await session.connection()
            yield session

    @asynccontextmanager
    async def system_transaction(self) -> AsyncIterator[AsyncSession]:
        """One transaction without a tenant, for the system role: its policies say what it sees."""
        async with self._sessions() as session, session.begin():
            yield session

    async def ready(self) -> None:
        """Raise when the server does not answer in time."""
        async with asyncio.timeout(self._begin_timeout_s), self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def connect_to_listen(self) -> asyncpg.Connection:
        """A connection for LISTEN, to the server itself and in no pool; the caller ends it.

        Raises:
            OSError, asyncpg.PostgresError: the server is away, or refuses.
        """
        return await asyncpg.connect(_dsn(self._listen_url), **self._tls)

    @property
    def dsn(self) -> str:
        """The address in the form that asyncpg itself takes."""
        return _dsn(self.url)

    def __repr__(self) -> str:
        return f"Database({self.engine.url!r})"


def _plain(url: str | SecretStr) -> str:
    return url.get_secret_value() if isinstance(url, SecretStr) else url


def _dsn(url: str) -> str:
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)
