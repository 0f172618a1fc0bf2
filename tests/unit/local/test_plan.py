import json
from graphlib import TopologicalSorter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from radrelay_local.credentials import Credentials
from radrelay_local.definition import Plan
from radrelay_local.errors import StackError
from radrelay_local.home import Home
from radrelay_local.parts import edge
from radrelay_local.parts.services import Services
from radrelay_local.ports import INFRASTRUCTURE_PORTS, SERVICE_PORTS
from radrelay_local.stack import DEMONSTRATION_BUNDLE, RunningStack

PORTS = {**INFRASTRUCTURE_PORTS, **SERVICE_PORTS}


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunningStack:
    stack = RunningStack(tmp_path)
    monkeypatch.setattr(RunningStack, "ports", PORTS)
    return stack


@pytest.fixture
def plan(stack: RunningStack) -> Plan:
    return stack.plan()


def test_everything_waits_only_for_what_is_there_and_for_nothing_that_waits_for_it(plan: Plan) -> None:
    order = plan.order()
    assert {before for parts in order.values() for before in parts} <= order.keys()
    assert list(TopologicalSorter(order).static_order())


def test_every_process_has_its_port_and_every_port_its_process(plan: Plan) -> None:
    assert {name.split(".")[0] for name in PORTS} == plan.processes.keys()


def test_every_route_of_the_edge_leads_to_a_process(plan: Plan) -> None:
    assert set(edge.ROUTES.values()) <= plan.processes.keys()


def test_every_address_is_on_loopback(plan: Plan) -> None:
    assert {urlsplit(each.address).hostname for each in plan.processes.values()} == {"127.0.0.1"}


def test_the_addresses_say_how_to_send_images_over_the_dicom_network(stack: RunningStack, plan: Plan) -> None:
    assert stack.addresses()["DICOM C-STORE (DEMO to RADRELAY)"] == f"127.0.0.1:{PORTS['ingest-dimse']}"
    peers = json.loads(plan.processes["ingest-dimse"].env["RADRELAY_INGEST_DIMSE__PEERS"])
    assert [(peer["calling_ae"], peer["called_ae"], peer["tenant"]) for peer in peers] == [
        ("DEMO", "RADRELAY", "north")
    ]


def test_who_signs_in_or_out_is_sent_to_the_origin_that_clients_know(stack: RunningStack, plan: Plan) -> None:
    env = plan.processes["issuer"].env
    assert json.loads(env["RADRELAY_ISSUER_REDIRECT_URIS"]) == [f"{stack.base_url}/signed-in"]
    assert json.loads(env["RADRELAY_ISSUER_POST_LOGOUT_REDIRECT_URIS"]) == [f"{stack.base_url}/"]


def test_no_secret_is_on_a_command_line(stack: RunningStack) -> None:
    credentials = stack.credentials
    secrets = [credentials.nats_password, credentials.objects_secret_key, credentials.postgres_password]
    secrets += [credentials.report_link_key, credentials.report_destination_key]
    secrets += [password for roles in credentials.roles.values() for password in roles.values()]
    commands = " ".join(" ".join(each.command) for each in stack.plan().processes.values())
    assert not [secret for secret in secrets if secret in commands]


def test_no_process_gets_the_role_that_owns_its_schema(stack: RunningStack) -> None:
    for each in stack.plan().processes.values():
        for roles in stack.credentials.roles.values():
            assert roles["owner"] not in " ".join(each.env.values())


def test_a_changed_port_changes_the_fingerprint_of_those_that_use_it(tmp_path: Path, plan: Plan) -> None:
    credentials = Credentials.of(Home(tmp_path))
    moved = Plan.of(*Services(Home(tmp_path), {**PORTS, "nats": 4999}, credentials, DEMONSTRATION_BUNDLE).all())
    changed = {name for name, each in moved.processes.items() if each.fingerprint != plan.processes[name].fingerprint}
    assert changed == moved.processes.keys() - {"model-server"}


def test_only_the_jobs_that_a_starting_process_waits_for_are_needed(plan: Plan) -> None:
    assert plan.needed_jobs({"edge"}) == set()
    assert plan.needed_jobs({"dashboard-api"}) == {"provision", "migrate-dashboard"}
    assert plan.needed_jobs({"inference-worker"}) == {"bundle", "development-tenants"}


def test_a_restarted_store_gets_its_tenants_again(plan: Plan) -> None:
    assert plan.following_jobs({"objects"}) == {"development-tenants"}


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    credentials = Credentials.of(Home(tmp_path))
    plan = Plan.of(*Services(Home(tmp_path), PORTS, credentials, tmp_path / "nothing").all())
    with pytest.raises(StackError, match="is no model bundle"):
        plan.jobs["bundle"].run()


def test_a_stack_that_was_never_up_says_so(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="radrelay up"):
        RunningStack(tmp_path).status()
