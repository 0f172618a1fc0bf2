"""PostgreSQL: the cluster, the server, and the product's database with a schema and roles for each service."""

import asyncio
import os
import pwd
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil

from radrelay_local import checks
from radrelay_local.commands import run
from radrelay_local.credentials import STATEFUL_SERVICES, Credentials
from radrelay_local.definition import Job, ProcessDefinition
from radrelay_local.errors import StackError
from radrelay_local.home import Home
from radrelay_local.ports import LOOPBACK
from radrelay_local.programs import postgres_program
from radrelay_shared.database.provision import provision_service

NAME = "postgres"
PROVISION_JOB = "provision"
DATABASE = "radrelay"
SUPERUSER = "postgres"

_UNPRIVILEGED_USER = "nobody"
_BACKENDS_GRACE_S = 10.0

SERVER_OPTIONS = {
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The long form quotes the values of rows that break a constraint.
    "log_error_verbosity": "terse",
}
"""What a server for Radrelay is started with, wherever it runs."""

# Socket paths must be short and the stack's folder may be deep: TCP alone.
_LISTENING = {"listen_addresses": LOOPBACK, "unix_socket_directories": ""}


def definition(home: Home, ports: dict[str, int], credentials: Credentials) -> ProcessDefinition:
    """The server, its cluster made at the first start."""
    cluster = home.root / "data" / NAME
    prefix = _unprivileged(cluster)

    def prepare() -> None:
        if not cluster.exists():
            _initialise(cluster, credentials.postgres_password, prefix)
        _clear_after_crash(cluster)

    port = str(ports[NAME])
    options = [part for key, value in {**_LISTENING, **SERVER_OPTIONS}.items() for part in ("-c", f"{key}={value}")]
    return ProcessDefinition(
        name=NAME,
        command=(*prefix, postgres_program("postgres"), "-D", str(cluster), "-p", port, *options),
        folder=home.root,
        address=address(ports),
        ready=checks.command_succeeds(postgres_program("pg_isready"), "-q", "-h", LOOPBACK, "-p", port),
        prepare=prepare,
        # Ends open sessions; SIGTERM would wait for their clients to leave.
        stop_signal=signal.SIGINT,
    )


def address(ports: dict[str, int]) -> str:
    """Where the product's database is, without who asks."""
    return f"postgresql://{LOOPBACK}:{ports[NAME]}/{DATABASE}"


def admin_url(ports: dict[str, int], credentials: Credentials, database: str = DATABASE) -> str:
    """The address of the administrator, in the form that asyncpg takes."""
    return f"postgresql://{SUPERUSER}:{credentials.postgres_password}@{LOOPBACK}:{ports[NAME]}/{database}"


def role_url(ports: dict[str, int], credentials: Credentials, service: str, role: str, database: str = DATABASE) -> str:
    """The address of one role of a service, in the form that SQLAlchemy takes."""
    password = credentials.roles[service][role]
    return f"postgresql+asyncpg://{service}_{role}:{password}@{LOOPBACK}:{ports[NAME]}/{database}"


def provision(ports: dict[str, int], credentials: Credentials) -> Job:
    """The product's database, with the schema and the roles of each stateful service."""
    return Job(PROVISION_JOB, lambda: asyncio.run(provision_all(ports, credentials)), after=(NAME,))


async def provision_all(ports: dict[str, int], credentials: Credentials) -> None:
    """Make the product's database where there is none, and in it the schema and the roles of each stateful service."""
    await create_database(ports, credentials, DATABASE)
    for service in STATEFUL_SERVICES:
        await provision_database(ports, credentials, DATABASE, service)


async def create_database(ports: dict[str, int], credentials: Credentials, database: str) -> None:
    """Make an empty database where there is none of this name."""
    connection = await asyncpg.connect(admin_url(ports, credentials, "postgres"))
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
            await connection.execute(f'CREATE DATABASE "{database}"')
    finally:
        await connection.close()


async def provision_database(ports: dict[str, int], credentials: Credentials, database: str, service: str) -> None:
    """The schema and the roles of one service in `database`."""
    connection = await asyncpg.connect(admin_url(ports, credentials, database))
    try:
        await provision_service(connection, service, credentials.roles[service])
    finally:
        await connection.close()


def _unprivileged(cluster: Path) -> tuple[str, ...]:
    """What to put before a command of PostgreSQL, which refuses to run as root.

    Raises:
        StackError: we are root and have no means to be less.
    """
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StackError(
            "PostgreSQL refuses to run as root and setpriv (util-linux) is missing: run radrelay as another user"
        )
    user = pwd.getpwnam(_UNPRIVILEGED_USER)
    ids = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--no-new-privs")
    places = (Path(postgres_program("postgres")), cluster)
    if all(_passable(parent) for place in places for parent in place.parents):
        return (setpriv, *ids, "--inh-caps=-all", "--bounding-set=-all")
    # Something above is closed to others, such as /root: keep the one capability that passes through it. Without the
    # secure bit access(2), by which PostgreSQL finds its own programs, would not count it.
    keep = "-all,+dac_override"
    capabilities = (f"--inh-caps={keep}", "--ambient-caps=+dac_override", f"--bounding-set={keep}")
    return (setpriv, *ids, *capabilities, "--securebits=+no_setuid_fixup")


def _passable(folder: Path) -> bool:
    return not folder.exists() or bool(folder.stat().st_mode & 0o001)


def _initialise(cluster: Path, password: str, prefix: tuple[str, ...]) -> None:
    """Make the cluster beside its place and move it there, so that an interrupted attempt leaves none."""
    fresh = cluster.with_name(f"{cluster.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700, parents=True)
    password_file = cluster.with_name(f"{cluster.name}.password")
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if prefix:
        user = pwd.getpwnam(_UNPRIVILEGED_USER)
        for path in (fresh, password_file):
            os.chown(path, user.pw_uid, user.pw_gid)
    command = (
        *(*prefix, postgres_program("initdb"), "-D", str(fresh), "-U", SUPERUSER),
        *("--auth=scram-sha-256", f"--pwfile={password_file}"),
        *(
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
        ),
    )
    try:
        run(command)
    finally:
        password_file.unlink()
    fresh.rename(cluster)


def _clear_after_crash(cluster: Path) -> None:
    """Make way for a new server after the old one was killed.

    Its backends notice and end, but the shared memory they hold would keep a new server from starting; and the pid file
    it left may name a process that has nothing to do with it.

    Raises:
        StackError: a server that this stack did not start uses the cluster.
    """
    deadline = time.monotonic() + _BACKENDS_GRACE_S
    while remaining := _servers_in(cluster):
        for process in remaining:
            with suppress(psutil.NoSuchProcess):
                if process.cmdline()[1:2] == ["-D"]:
                    raise StackError(f"another PostgreSQL (process {process.pid}) uses {cluster}; stop it first")
                # Leaves at once, without a word to its client.
                process.send_signal(signal.SIGQUIT if time.monotonic() < deadline else signal.SIGKILL)
        time.sleep(0.05)
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def _servers_in(cluster: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if (
                process.name() == "postgres"
                and process.cwd() == str(cluster)
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process)
    return found
