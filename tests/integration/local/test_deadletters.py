"""`radrelay deadletters` against a broker."""

import asyncio
import json
import subprocess
import sysconfig
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from nats.js import JetStreamContext
from typer.testing import CliRunner, Result

from radrelay_local import brokers, deadletters
from radrelay_local.errors import StackError
from radrelay_shared.events import Event, InstanceStored
from radrelay_shared.messaging import NatsSettings, Publisher, connect, durables, ensure_topology
from radrelay_shared.messaging.deadletters import ATTEMPTS, DETAIL, DURABLE, ORIGINAL_SUBJECT, REASON
from radrelay_shared.messaging.topology import dead_letter_subject
from support.events import instance_stored
from support.stack import Infrastructure
from support.tenants import new_tenant


class Operator:
    """One who types commands, and the dead letters of one tenant."""

    def __init__(self, js: JetStreamContext, infra: Infrastructure) -> None:
        self.js = js
        self.tenant = new_tenant()
        self._env = {"RADRELAY_NATS__URL": infra.nats_url, "COLUMNS": "200"}

    async def types(self, *arguments: str) -> Result:
        return await asyncio.to_thread(lambda: CliRunner().invoke(deadletters.app, arguments, env=self._env))

    async def lists(self, *arguments: str) -> list[dict[str, Any]]:
        result = await self.types("list", "--tenant", self.tenant, "--json", *arguments)
        assert result.exit_code == 0, result.output
        listed: list[dict[str, Any]] = json.loads(result.stdout)
        return listed

    async def bury(self, payload: bytes | None = None, *, reason: str = "cannot_be") -> Event[InstanceStored]:
        event = instance_stored(tenant=self.tenant)
        await Publisher(self.js).publish_raw(
            dead_letter_subject(self.tenant, durables.REPORT_RESULTS),
            event.to_json() if payload is None else payload,
            message_id=f"buried:{event.id}",
            headers={
                REASON: reason,
                DETAIL: "[red] is no colour here",
                DURABLE: "report-results",
                ATTEMPTS: "8",
                ORIGINAL_SUBJECT: self.subject,
            },
        )
        return event

    @property
    def subject(self) -> str:
        return f"radrelay.v1.{self.tenant}.instance.stored.routine"

    async def replayed(self) -> list[bytes]:
        held = await self.js.stream_info(durables.INSTANCES.name, subjects_filter=self.subject)
        subscription = await self.js.subscribe(self.subject, ordered_consumer=True)
        count = sum((held.state.subjects or {}).values())
        messages = [await subscription.next_msg(timeout=10) for _ in range(count)]
        await subscription.unsubscribe()
        return [message.data for message in messages]


@pytest.fixture
async def operator(infra: Infrastructure) -> AsyncIterator[Operator]:
    settings = NatsSettings(url=infra.nats_url)
    async with connect(settings, name="test") as client:
        await ensure_topology(client.jetstream(), settings.streams)
        yield Operator(client.jetstream(), infra)


async def test_the_list_has_the_newest_last_and_no_more_than_asked_for(operator: Operator) -> None:
    for reason in ("first", "second", "third"):
        await operator.bury(reason=reason)
    assert [each["reason"] for each in await operator.lists("--limit", "2")] == ["second", "third"]
    assert [each["reason"] for each in await operator.lists("--reason", "first")] == ["first"]
    assert await operator.lists("--durable", "inference-stat") == []
    assert {each["attempts"] for each in await operator.lists("--durable", "report-results")} == {8}


async def test_people_get_a_table_that_shows_text_as_it_is(operator: Operator) -> None:
    await operator.bury()
    result = await operator.types("list", "--tenant", operator.tenant)
    assert "[red] is no colour here" in result.stdout
    assert "report-results" in result.stdout
    assert "No dead letters." in (await operator.types("list", "--tenant", new_tenant())).stdout


async def test_show_has_the_reason_the_headers_and_the_event(operator: Operator) -> None:
    event = await operator.bury()
    (listed,) = await operator.lists()
    as_text = (await operator.types("show", str(listed["sequence"]))).stdout
    as_json = json.loads((await operator.types("show", str(listed["sequence"]), "--json")).stdout)
    assert f'"id": "{event.id}"' in as_text
    assert f"Radrelay-Subject: {operator.subject}" in as_text
    assert as_json["event"] == json.loads(event.to_json())
    assert as_json["headers"][ATTEMPTS] == "8"
    assert (as_json["fault"], as_json["reason"]) == (None, "cannot_be")


@pytest.mark.parametrize(("payload", "as_base64"), [(b"{not json \xff", "e25vdCBqc29uIP8="), (b"{}", None)])
async def test_show_says_what_is_no_event(operator: Operator, payload: bytes, as_base64: str | None) -> None:
    await operator.bury(payload)
    (listed,) = await operator.lists()
    shown = json.loads((await operator.types("show", str(listed["sequence"]), "--json")).stdout)
    assert shown["fault"]
    assert shown.get("payload_base64") == as_base64
    assert "The payload is no event:" in (await operator.types("show", str(listed["sequence"]))).stdout


async def test_replay_of_numbers_sends_those_alone(operator: Operator) -> None:
    events = [await operator.bury() for _ in range(3)]
    numbers = [str(each["sequence"]) for each in await operator.lists()]
    result = await operator.types("replay", *numbers[:2])
    assert result.stdout.splitlines() == [f"{number} sent to {operator.subject}" for number in numbers[:2]]
    assert await operator.replayed() == [event.to_json() for event in events[:2]]
    assert [str(each["sequence"]) for each in await operator.lists()] == numbers[2:]


async def test_replay_of_all_keeps_to_the_filters(operator: Operator) -> None:
    wanted, other = await operator.bury(reason="wanted"), await operator.bury(reason="other")
    filters = ("--tenant", operator.tenant, "--reason", "wanted")
    assert (await operator.types("replay", "--all", *filters)).exit_code == 0
    assert await operator.replayed() == [wanted.to_json()]
    assert [each["reason"] for each in await operator.lists()] == ["other"]
    assert (await operator.types("replay", "--all", *filters)).stdout == "No dead letters.\n"
    assert other.to_json() not in await operator.replayed()


@pytest.mark.parametrize("arguments", [("show", "1000000000"), ("replay", "1000000000")])
async def test_a_number_that_is_not_there_is_a_message_and_status_1(
    operator: Operator, arguments: tuple[str, str]
) -> None:
    result = await operator.types(*arguments)
    assert result.exit_code == 1
    assert isinstance(result.exception, StackError)
    assert str(result.exception) == "there is no dead letter 1000000000"


async def test_without_an_address_the_local_stacks_broker_is_asked_and_a_fault_is_one_line(
    operator: Operator, infra: Infrastructure
) -> None:
    program = Path(sysconfig.get_path("scripts")) / "radrelay"
    command = [str(program), "deadletters", "show", "1000000000", "--home", str(infra.home)]
    result = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "radrelay: there is no dead letter 1000000000\n"


@pytest.mark.parametrize("arguments", [(), ("1", "--all"), ("1", "--tenant", "north")])
async def test_replay_wants_numbers_or_all(operator: Operator, arguments: tuple[str, ...]) -> None:
    result = await operator.types("replay", *arguments)
    assert result.exit_code == 2
    assert "give numbers, or --all" in result.output


async def test_a_filter_that_is_no_name_is_refused(operator: Operator) -> None:
    result = await operator.types("list", "--tenant", ">")
    assert result.exit_code == 2
    assert "is no name" in result.output


async def test_a_broker_that_is_away_is_a_message(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brokers, "_CONNECT_S", 0.5)
    result = await operator.types("list", "--nats", "nats://127.0.0.1:9")
    assert isinstance(result.exception, StackError)
    assert "no connection to the broker" in str(result.exception)
