"""How the stack finds out that a process does its work, not only that it runs."""

import http.client
import socket
import subprocess
from collections.abc import Callable

from radrelay_local.ports import LOOPBACK

Check = Callable[[], bool]

_TIMEOUT_S = 5.0


def tcp(port: int) -> Check:
    """True when something listens on the port."""

    def check() -> bool:
        try:
            with socket.create_connection((LOOPBACK, port), timeout=_TIMEOUT_S):
                return True
        except OSError:
            return False

    return check


def http_ok(port: int, path: str) -> Check:
    """True when a GET is answered with 200."""

    def check() -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return check


def command_succeeds(*command: str) -> Check:
    """True when the command exits with 0."""

    def check() -> bool:
        try:
            return subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT_S).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    return check
