"""Where a service's database is, and how it is reached."""

import ssl
from typing import Literal, Self

from pydantic import BaseModel, Field, FilePath, SecretStr, model_validator

from radrelay_shared.database.session import Database


class DatabaseSettings(BaseModel):
    """One address per role, as postgresql+asyncpg://user:password@host:port/database."""

    app_url: SecretStr
    """Runtime role: not an owner, row security applies."""
    system_url: SecretStr | None = None
    """Relay and sweeper: sees across tenants what they need and nothing else."""
    owner_url: SecretStr | None = None
    """Owns the schema; only migrations use it. Never a pooler's address."""
    admin_url: SecretStr | None = None
    """Who may make roles and owns the database; only `prepare_database` uses it. Never a pooler's address."""
    pooler: Literal["none", "transaction"] = "none"
    """`transaction`: `app_url` and `system_url` are a pooler's, which lends a server connection for one transaction."""
    listen_url: SecretStr | None = None
    """The server itself, as any of the roles, for LISTEN: a pooler passes no notifications on."""
    sslmode: Literal["prefer", "verify-full"] = "prefer"
    """As in libpq. `prefer` checks no certificate: for a database on the same machine or network."""
    sslrootcert: FilePath | None = None
    """Authorities that `verify-full` trusts, in PEM; those of the system where not set."""
    pool_size: int = Field(default=10, gt=0)
    max_overflow: int = Field(default=0, ge=0)
    """Connections beyond those, each closed when its transaction ends: making one costs more than most transactions."""
    begin_timeout_s: float = Field(default=30.0, gt=0)
    """How long a request waits for a connection that is free and a server that answers, before it is an outage."""

    @model_validator(mode="after")
    def _check_listening(self) -> Self:
        if self.pooler == "transaction" and self.listen_url is None:
            raise ValueError("with a pooler, listen_url is needed: LISTEN does not work through it")
        return self

    @model_validator(mode="after")
    def _check_authorities(self) -> Self:
        if self.sslmode == "prefer" and self.sslrootcert is not None:
            raise ValueError("sslrootcert is of use with sslmode verify-full alone")
        try:
            self.tls()
        except ssl.SSLError as error:
            raise ValueError("sslrootcert is no file of certificates in PEM") from error
        return self

    def app(self, *, pool_size: int | None = None) -> Database:
        """The database as the runtime role; `pool_size` in place of the one that is set."""
        return self._database(self.app_url, pool_size or self.pool_size, self.max_overflow)

    def system(self, *, pool_size: int, max_overflow: int = 0) -> Database:
        """The database as the system role.

        Raises:
            ValueError: its address is not set.
        """
        if self.system_url is None:
            raise ValueError("no address of the system role is set (DATABASE__SYSTEM_URL)")
        return self._database(self.system_url, pool_size, max_overflow)

    def tls(self) -> ssl.SSLContext | None:
        """What a server's certificate and its name are checked with; None for `prefer`."""
        if self.sslmode == "prefer":
            return None
        return ssl.create_default_context(cafile=self.sslrootcert)

    def _database(self, url: SecretStr, pool_size: int, max_overflow: int) -> Database:
        return Database(
            url,
            pool_size=pool_size,
            max_overflow=max_overflow,
            begin_timeout_s=self.begin_timeout_s,
            listen_url=self.listen_url,
            tls=self.tls(),
            keeps_statements=self.pooler == "none",
        )
