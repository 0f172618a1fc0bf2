"""Where what is backed up lies: the servers that the environment names, else the local stack's."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from radrelay_local import brokers, stores
from radrelay_local.errors import StackError
from radrelay_local.parts import postgres
from radrelay_local.programs import postgres_program
from radrelay_local.stack import Infrastructure
from radrelay_shared.messaging import NatsSettings
from radrelay_shared.objects import ObjectStoreSettings

DATABASE: Final = "RADRELAY_DATABASE__ADMIN_URL"
NATS: Final = "RADRELAY_NATS__URL"
OBJECTS: Final = "RADRELAY_OBJECTS__ENDPOINT"


@dataclass(frozen=True, slots=True)
class Places:
    """The three servers, each with somebody who may read and write all of it."""

    database: URL
    objects: ObjectStoreSettings
    nats: NatsSettings
    program: Callable[[str], str]
    """The path of one of PostgreSQL's programs."""


def elsewhere(home: Path) -> Places | None:
    """The servers that the environment names; None where it names none.

    Raises:
        StackError: it names some of them, or not as they should be.
    """
    missing = [name for name in (DATABASE, NATS, OBJECTS) if name not in os.environ]
    if len(missing) == 3:
        return None
    if missing:
        raise StackError(f"{' and '.join(missing)} must be set too: a backup is of all three servers, or of the stack")
    try:
        database = make_url(os.environ[DATABASE])
    except ArgumentError:
        # Without the original: its message may hold the password.
        raise StackError(f"{DATABASE} is no address of a database") from None
    user, password = os.environ.get("RADRELAY_NATS__USER"), os.environ.get("RADRELAY_NATS__PASSWORD")
    broker = brokers.settings(home, os.environ[NATS], user, password)
    return Places(database, stores.settings(home), broker, _installed)


def local(stack: Infrastructure) -> Places:
    """Those of the embedded stack.

    Raises:
        StackError: it was never up.
    """
    return Places(
        make_url(postgres.admin_url(stack.ports, stack.credentials)),
        stack.objects,
        brokers.of_stack(stack),
        postgres_program,
    )


def _installed(name: str) -> str:
    """The program as the machine has it."""
    path = shutil.which(name)
    if path is None:
        raise StackError(
            f"{name} is not installed; on Debian: apt-get install postgresql-client, of the version of the server"
        )
    return path
