"""What runs and listens on this machine for one stack, found without asking the stack."""

from pathlib import Path

import psutil


def processes_of(home: Path) -> list[psutil.Process]:
    """Every living process that was started for the stack in `home`, PostgreSQL's backends among them."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            marked = process.environ().get("RADRELAY_STACK") == str(home)
            if marked or Path(process.cwd()).is_relative_to(home):
                found.append(process)
        except psutil.Error:
            continue
    return found


def listening_addresses(home: Path) -> set[str]:
    """The IP addresses on which the stack's processes accept connections."""
    connections = [each for process in processes_of(home) for each in process.net_connections(kind="inet")]
    return {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}
