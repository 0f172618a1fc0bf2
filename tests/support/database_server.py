"""What a managed database such as Neon is like: TLS, PgBouncer, restarts."""

import asyncio
import os
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import ClassVar, Final

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from radrelay_local.definition import Plan
from radrelay_local.parts import postgres
from radrelay_local.stack import Infrastructure
from radrelay_shared.database import DatabaseSettings

HOST: Final = "localhost"
"""What the certificates are for."""
SERVER_CONNECTIONS: Final = 2
"""That the pooler keeps for each user and database."""

_SSL_REQUEST: Final = struct.pack("!ii", 8, 80877103)
_CHUNK_BYTES: Final = 1 << 16
_UNPRIVILEGED: Final = "nobody"
_STARTS_WITHIN_S: Final = 20.0


class PostgresAlone(Infrastructure):
    """A PostgreSQL of a test's own, to be restarted and killed."""

    usual_ports: ClassVar[Mapping[str, int]] = {postgres.NAME: 5432}

    def __init__(self, home: Path) -> None:
        super().__init__(home, prefer_usual_ports=False)

    def plan(self) -> Plan:
        """The server."""
        return Plan.of(postgres.definition(self.folders, self.ports, self.credentials))


@asynccontextmanager
async def tls_before(port: int, certificate: Path, key: Path) -> AsyncIterator[int]:
    """PostgreSQL's TLS for a server that was built without: yields the port where nobody is let in without it.

    Source: PostgreSQL's manual, "Message Flow", section "SSL Session Encryption".
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            if await reader.readexactly(len(_SSL_REQUEST)) != _SSL_REQUEST:
                return
            writer.write(b"S")
            await writer.start_tls(context)
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_pass_on(reader, server_writer), _pass_on(server_reader, writer))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as front:
        yield front.sockets[0].getsockname()[1]


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while content := await reader.read(_CHUNK_BYTES):
        writer.write(content)
        await writer.drain()
    writer.close()


def readable(*paths: Path) -> None:
    """Let a server that does not run as root have files: it refuses a key that others could read."""
    for path in paths:
        path.chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(path, _UNPRIVILEGED)


@contextmanager
def run_pgbouncer(server_port: int, passwords: Mapping[str, str], certificate: Path, key: Path) -> Iterator[int]:
    """PgBouncer in transaction mode with TLS; its port. Skips the test where there is no PgBouncer.

    Args:
        server_port: of the PostgreSQL whose connections it lends.
        passwords: who may connect, by user.
        certificate: of `HOST`, in PEM.
        key: that of the certificate.
    """
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("PgBouncer is not installed (Debian: apt-get install pgbouncer)")
    port = _free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        files = {path: folder / path for path in ("pgbouncer.ini", "users.txt", "server.pem", "server.key")}
        files["server.pem"].write_bytes(certificate.read_bytes())
        files["server.key"].write_bytes(key.read_bytes())
        files["users.txt"].write_text("".join(f'"{user}" "{password}"\n' for user, password in passwords.items()))
        files["pgbouncer.ini"].write_text(
            f"[databases]\n* = host=127.0.0.1 port={server_port}\n"
            "[pgbouncer]\nlisten_addr = 127.0.0.1\nunix_socket_dir =\n"
            f"listen_port = {port}\n"
            "pool_mode = transaction\n"
            f"default_pool_size = {SERVER_CONNECTIONS}\n"
            "server_login_retry = 1\n"
            "auth_type = scram-sha-256\n"
            f"auth_file = {files['users.txt']}\n"
            "client_tls_sslmode = require\n"
            f"client_tls_cert_file = {files['server.pem']}\nclient_tls_key_file = {files['server.key']}\n"
        )
        readable(*files.values())
        with (folder / "log").open("wb") as log:
            user = _UNPRIVILEGED if os.geteuid() == 0 else None
            process = subprocess.Popen([program, files["pgbouncer.ini"]], stderr=log, user=user)
        try:
            _wait_until_open(port, process, folder / "log")
            yield port
        finally:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    with socket.socket() as probe:
        while probe.connect_ex(("127.0.0.1", port)) != 0:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)


def at_port(url: SecretStr | None, port: int) -> SecretStr:
    """An address with the host that the certificates are for, and another port."""
    assert url is not None
    changed = make_url(url.get_secret_value()).set(host=HOST, port=port)
    return SecretStr(changed.render_as_string(hide_password=False))


def verified(settings: DatabaseSettings, port: int, authority: Path) -> DatabaseSettings:
    """The same database at a port with TLS, whose certificate is checked."""
    urls = {role: at_port(getattr(settings, role), port) for role in ("app_url", "system_url", "owner_url")}
    checked = {"sslmode": "verify-full", "sslrootcert": authority}
    return DatabaseSettings.model_validate(settings.model_dump() | urls | checked)


def pooled(settings: DatabaseSettings, port: int) -> DatabaseSettings:
    """The same database through a pooler in transaction mode, as the settings of a service would say it."""
    urls = {role: at_port(getattr(settings, role), port) for role in ("app_url", "system_url")}
    changes = {"pooler": "transaction", "listen_url": settings.app_url}
    return DatabaseSettings.model_validate(settings.model_dump() | urls | changes)
