"""The `radrelay` command on a stack that runs, and on none."""

import subprocess
import sysconfig
from pathlib import Path

import httpx
import pytest

from radrelay_local.control import Condition
from support.processes import listening_addresses
from support.stack import RunningStack


def radrelay(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sysconfig.get_path("scripts")) / "radrelay"
    command = [str(program), *arguments, "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_everything_is_ready_and_listens_on_loopback_alone(stack: RunningStack) -> None:
    assert {each.condition for each in stack.status()} == {Condition.READY}
    assert listening_addresses(stack.home) == {"127.0.0.1"}


def test_up_starts_nothing_that_runs_and_prints_the_addresses(stack: RunningStack) -> None:
    before = {each.name: each.pid for each in stack.status()}
    result = radrelay("up", home=stack.home)
    assert result.returncode == 0, result.stderr
    assert f"{stack.base_url}/api/ingest/docs" in result.stdout
    assert "Not for clinical use" in result.stdout
    assert {each.name: each.pid for each in stack.status()} == before


def test_every_printed_page_is_there(stack: RunningStack) -> None:
    for address in stack.addresses().values():
        if address.startswith(stack.base_url):
            assert httpx.get(address).status_code == 200


def test_status_lists_every_process(stack: RunningStack) -> None:
    result = radrelay("status", home=stack.home)
    assert result.returncode == 0
    for name in stack.plan().processes:
        assert name in result.stdout or name == "minio-gateway"


def test_a_token_is_printed_alone_and_accepted_by_the_services(stack: RunningStack) -> None:
    result = radrelay("token", "--tenant", "north", "--user", "ada", "--role", "clinician", home=stack.home)
    answer = httpx.get(
        f"{stack.base_url}/api/reports/v1/reports", headers={"Authorization": f"Bearer {result.stdout.strip()}"}
    )
    assert answer.status_code == 200


def test_logs_of_one_process_are_printed(stack: RunningStack) -> None:
    result = radrelay("logs", "nats", home=stack.home)
    assert "Server is ready" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("status",), "has never been up: run radrelay up"),
        (("logs",), "no log of anything"),
        (("deadletters", "list"), "has never been up: run radrelay up"),
        (("token", "--tenant", "north", "--user", "ada", "--role", "clinician"), "has never been up: run radrelay up"),
    ],
)
def test_without_a_stack_a_message_says_what_to_do(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    result = radrelay(*arguments, home=tmp_path)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_down_is_no_error_where_nothing_runs(tmp_path: Path) -> None:
    assert radrelay("down", home=tmp_path).returncode == 0
