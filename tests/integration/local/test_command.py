"""The `radrelay` command on a stack that runs, and on none."""

import json
import subprocess
import sysconfig
from pathlib import Path

import httpx
import pytest

from radrelay_local.control import Condition
from support.otlp import Receiver
from support.processes import listening_addresses
from support.stack import RunningStack


def radrelay(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sysconfig.get_path("scripts")) / "radrelay"
    command = [str(program), *arguments, "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_everything_is_ready_and_listens_on_loopback_alone(stack: RunningStack) -> None:
    assert {each.condition for each in stack.status()} == {Condition.READY}
    assert listening_addresses(stack.home) == {"127.0.0.1"}


def test_up_starts_nothing_that_runs_and_prints_the_addresses(stack: RunningStack, telemetry: Receiver) -> None:
    before = {each.name: each.pid for each in stack.status()}
    result = radrelay("up", "--otlp-endpoint", telemetry.endpoint, home=stack.home)
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


def test_an_audit_trail_is_exported_and_one_that_nothing_was_published_of_is_not_called_whole(
    stack: RunningStack,
) -> None:
    result = radrelay("audit", "verify", "--tenant", "audited", home=stack.home)
    assert (result.returncode, result.stdout.splitlines()[-1][:8]) == (2, "UNKNOWN:")
    result = radrelay("audit", "export", "--tenant", "audited", home=stack.home)
    assert result.returncode == 0, result.stderr
    assert [json.loads(line)["resourceType"] for line in result.stdout.splitlines()] == ["AuditEvent"] * 2


@pytest.mark.parametrize("command", ["verify", "export"])
def test_without_a_stack_an_audit_trail_is_not_called_broken(tmp_path: Path, command: str) -> None:
    result = radrelay("audit", command, "--tenant", "north", home=tmp_path)
    assert result.returncode == 2
    assert "has never been up: run radrelay up" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_dashboard_of_the_stack_is_made_anew(stack: RunningStack) -> None:
    result = radrelay("dashboard", "rebuild", "--tenant", "rebuilt", home=stack.home)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("rebuilt: made anew from 0 events")
    assert "--tenant" in radrelay("dashboard", "rebuild", "--help", home=stack.home).stdout


def test_store_and_database_of_the_stack_are_reconciled(stack: RunningStack) -> None:
    token = stack.issue_token("reconciled", "ada", ["clinician"])
    batches = f"{stack.base_url}/api/ingest/v1/batches"
    assert httpx.post(batches, json={}, headers={"Authorization": f"Bearer {token}"}).status_code == 201
    result = radrelay("reconcile", "--tenant", "reconciled", "--json", home=stack.home)
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert (document["settled"], [each["tenant"] for each in document["tenants"]]) == (True, ["reconciled"])
    assert "--mend" in radrelay("reconcile", "--help", home=stack.home).stdout


def test_without_a_stack_nothing_is_found_out_of_its_store(tmp_path: Path) -> None:
    result = radrelay("reconcile", home=tmp_path)
    assert result.returncode == 2
    assert "has never been up: run radrelay up" in result.stderr
    assert "Traceback" not in result.stderr
