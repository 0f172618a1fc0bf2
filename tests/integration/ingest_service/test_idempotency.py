"""A repeated request with the same `Idempotency-Key` is carried out once and answered the same."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from ingest_service.adapters.answers import PostgresAnswers
from ingest_service.adapters.records import PostgresRecords
from ingest_service.api.schemas import NewBatch
from ingest_service.domain.idempotency import KeyedRequest, fingerprint_of
from ingest_service.handlers.batches import create_batch
from radrelay_shared.database import Database, Scope
from radrelay_shared.events import Urgency
from support.events import inference_failed
from support.ingest_api import IngestUser, assert_problem
from support.ingest_case import Case
from support.tenants import new_tenant

MakeUser = Callable[..., IngestUser]
Working = Callable[..., AbstractAsyncContextManager[None]]
OPENING = fingerprint_of("POST", "/v1/batches", NewBatch().model_dump_json())


@pytest.fixture
def answers(database: Database) -> PostgresAnswers:
    return PostgresAnswers(database)


async def post(who: IngestUser, path: str, key: str, **content: Any) -> httpx.Response:
    return await who.call("POST", path, headers={"Idempotency-Key": key}, **content)


async def batches_of(who: IngestUser) -> list[str]:
    return [batch["batch_id"] for batch in (await who.call("GET", "")).json()["batches"]]


async def remembered(database: Database, tenant: str) -> int:
    async with database.transaction(Scope.service(tenant)) as session:
        count: int = (await session.execute(text("SELECT count(*) FROM ingest.remembered_answer"))).scalar_one()
        return count


async def test_a_repeat_gets_the_answer_of_the_first_and_opens_nothing(user: MakeUser) -> None:
    doctor = user(new_tenant())
    first = await post(doctor, "", "key-1", json={"label": "a"})
    again = await post(doctor, "", '"key-1"', json={"label": "a", "priority": "routine"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    other = await post(doctor, "", "key-2", json={"label": "a"})
    assert sorted(await batches_of(doctor)) == sorted([first.json()["batch_id"], other.json()["batch_id"]])


async def test_the_answer_is_that_of_then_even_where_the_batch_has_changed(user: MakeUser) -> None:
    doctor = user(new_tenant())
    first = (await post(doctor, "", "key", json={})).json()
    await doctor.call("POST", f"/{first['batch_id']}/close")
    assert (await post(doctor, "", "key", json={})).json() == first


async def test_another_request_with_the_key_is_refused(user: MakeUser) -> None:
    doctor = user(new_tenant())
    batch_id = (await post(doctor, "", "key", json={"label": "a"})).json()["batch_id"]
    assert_problem(await post(doctor, "", "key", json={"label": "b"}), 422, "idempotency_key_reused")
    assert_problem(await post(doctor, f"/{batch_id}/cancel", "key"), 422, "idempotency_key_reused")
    assert (await doctor.batch(batch_id))["state"] == "receiving"


async def test_many_at_once_open_one_batch(user: MakeUser) -> None:
    doctor = user(new_tenant())
    responses = await asyncio.gather(*(post(doctor, "", "key", json={}) for _ in range(12)))
    (batch_id,) = await batches_of(doctor)
    for response in responses:
        if response.status_code == 409:
            assert_problem(response, 409, "idempotency_key_in_use")
        else:
            assert (response.status_code, response.json()["batch_id"]) == (201, batch_id)
    assert Counter(response.status_code for response in responses)[201] >= 1


async def test_a_repeat_of_what_is_still_at_work_is_told_to_ask_again(user: MakeUser, answers: PostgresAnswers) -> None:
    tenant = new_tenant()
    caller = Scope(tenant, "dr-a", "clinician")
    await answers.claim(caller, KeyedRequest("key", OPENING), datetime.now(UTC))
    response = await post(user(tenant), "", "key", json={})
    assert_problem(response, 409, "idempotency_key_in_use")
    assert response.headers["Retry-After"] == "1"
    assert await batches_of(user(tenant)) == []


@pytest.mark.parametrize("committed", [False, True])
async def test_what_died_with_its_process_is_taken_up_and_makes_its_batch_once(
    user: MakeUser, answers: PostgresAnswers, records: PostgresRecords, *, committed: bool
) -> None:
    tenant = new_tenant()
    caller = Scope(tenant, "dr-a", "clinician")
    died = datetime.now(UTC) - timedelta(minutes=5)
    claim = await answers.claim(caller, KeyedRequest("key", OPENING), died)
    assert claim is not None
    if committed:
        await create_batch(records, caller, batch_id=claim.work_id, label=None, priority=Urgency.ROUTINE)
    response = await post(user(tenant), "", "key", json={})
    assert (response.status_code, response.json()["batch_id"]) == (201, str(claim.work_id))
    assert await batches_of(user(tenant)) == [str(claim.work_id)]


async def test_a_key_is_its_callers_own(user: MakeUser) -> None:
    tenant = new_tenant()
    callers = [user(tenant), user(tenant, "dr-b"), user(tenant, "chief", ["tenant_admin"]), user(new_tenant())]
    responses = [await post(each, "", "key", json={"label": str(n)}) for n, each in enumerate(callers)]
    assert [response.status_code for response in responses] == [201] * 4
    assert len({response.json()["batch_id"] for response in responses}) == 4


async def test_a_request_that_was_refused_leaves_no_trace(user: MakeUser, database: Database) -> None:
    tenant = new_tenant()
    assert_problem(await post(user(tenant), f"/{uuid4()}/retry", "key"), 404, "batch_not_found")
    assert await remembered(database, tenant) == 0
    assert (await post(user(tenant), "", "key", json={})).status_code == 201


@pytest.mark.parametrize("key", ["", '""', '"open', "two words", "x" * 256, 'a"b'])
async def test_what_is_no_key_is_refused(user: MakeUser, key: str) -> None:
    doctor = user(new_tenant())
    assert_problem(await post(doctor, "", key, json={}), 400, "invalid_idempotency_key")
    assert await batches_of(doctor) == []


async def test_a_repeated_retry_sends_nothing_again(case: Case, working: Working) -> None:
    async with working():
        for submission in (1, 2):
            await case.say(
                inference_failed(
                    tenant=case.tenant,
                    instance_id=case.instance_id,
                    reason="retries_exhausted",
                    submission=submission,
                )
            )
            before = await case.becomes("failed")
            answer = (await post(case.doctor, f"/{case.batch_id}/retry", "key")).json()
            assert answer["retried"] == 1
    assert await case.file() == before
    assert (await post(case.doctor, f"/{case.batch_id}/retry", "other")).json()["retried"] == 1


async def test_a_repeated_cancel_does_not_undo_the_retry_between(case: Case) -> None:
    first = (await post(case.doctor, f"/{case.batch_id}/cancel", "key")).json()
    assert first["counts"]["cancelled"] == 1
    await case.doctor.call("POST", f"/{case.batch_id}/retry")
    assert (await post(case.doctor, f"/{case.batch_id}/cancel", "key")).json() == first
    assert (await case.doctor.batch(case.batch_id))["counts"]["queued"] == 1


async def test_after_a_day_a_key_is_free_again_and_the_sweeper_forgets_it(
    user: MakeUser, answers: PostgresAnswers, database: Database, working: Working
) -> None:
    tenant = new_tenant()
    caller, long_ago = Scope(tenant, "dr-a", "clinician"), datetime.now(UTC) - timedelta(hours=24, minutes=1)
    for key in ("used again", "left"):
        claim = await answers.claim(caller, KeyedRequest(key.split()[0], "another request"), long_ago)
        assert claim is not None
        await answers.keep(caller, key.split()[0], claim.work_id, "{}")
    assert (await post(user(tenant), "", "used", json={})).status_code == 201
    assert await remembered(database, tenant) == 2
    async with working(), asyncio.timeout(20):
        while await remembered(database, tenant) > 1:
            await asyncio.sleep(0.02)
    assert (await post(user(tenant), "", "used", json={})).status_code == 201
    assert len(await batches_of(user(tenant))) == 1


async def test_one_sees_no_answers_of_others(user: MakeUser, database: Database) -> None:
    tenant = new_tenant()
    await post(user(tenant), "", "key", json={})
    query = text("SELECT count(*) FROM ingest.remembered_answer")
    for scope, seen in [
        (Scope(tenant, "dr-a", "clinician"), 1),
        (Scope(tenant, "dr-b", "clinician"), 0),
        (Scope(new_tenant(), "dr-a", "tenant_admin"), 0),
    ]:
        async with database.transaction(scope) as session:
            assert await session.scalar(query) == seen


async def test_the_openapi_document_names_the_header_and_every_answer(user: MakeUser) -> None:
    document = (await user(new_tenant()).client.get("/openapi.json")).json()
    answers = {
        "/v1/batches": {"201", "400", "401", "409", "422", "429", "503"},
        "/v1/batches/{batch_id}/retry": {"200", "400", "401", "403", "404", "409", "422", "429", "503"},
        "/v1/batches/{batch_id}/cancel": {"200", "400", "401", "403", "404", "409", "422", "429", "503"},
    }
    for path, statuses in answers.items():
        operation = document["paths"][path]["post"]
        assert operation["responses"].keys() == statuses
        assert "idempotency-key" in {parameter["name"] for parameter in operation["parameters"]}
        for status in statuses - {"200", "201"}:
            assert operation["responses"][status]["content"].keys() == {"application/problem+json"}
