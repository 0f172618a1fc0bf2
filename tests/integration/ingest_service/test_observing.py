"""What the worker says of cases that are not finished."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from prometheus_client import REGISTRY

from ingest_service.adapters.survey import PostgresSurvey
from ingest_service.handlers.observing import observe_unfinished
from radrelay_shared.database import Database
from radrelay_shared.events import Urgency
from support.dicom_files import dicom_file
from support.events import inference_failed, report_created
from support.ingest_api import IngestUser
from support.ingest_case import Case
from support.tenants import new_tenant

MakeUser = Callable[..., IngestUser]
Working = Callable[..., AbstractAsyncContextManager[None]]


def gauge(name: str, lane: Urgency) -> float:
    return REGISTRY.get_sample_value(f"radrelay_ingest_{name}", {"lane": lane}) or 0.0


async def test_an_unfinished_case_is_counted_in_its_lane_and_grows_old(user: MakeUser, system: Database) -> None:
    survey = PostgresSurvey(system)
    await observe_unfinished(survey)
    before = gauge("unfinished_cases", Urgency.STAT)
    doctor = user(new_tenant())
    batch_id = await doctor.open_batch(priority="stat")
    await doctor.upload(batch_id, {"a.dcm": dicom_file()})
    await observe_unfinished(survey)
    assert gauge("unfinished_cases", Urgency.STAT) == before + 1
    young = gauge("oldest_unfinished_seconds", Urgency.STAT)
    await observe_unfinished(survey)
    assert gauge("oldest_unfinished_seconds", Urgency.STAT) > young > 0


async def test_a_case_that_was_sent_again_is_as_old_as_that_and_one_with_a_report_is_finished(
    case: Case, working: Working, system: Database
) -> None:
    survey = PostgresSurvey(system)
    async with working():
        first = (await survey.unfinished())[Urgency.ROUTINE]
        await case.say(inference_failed(tenant=case.tenant, instance_id=case.instance_id, reason="retries_exhausted"))
        await case.becomes("failed")
        assert _number(await survey.unfinished()) == first.number - 1
        assert (await case.doctor.call("POST", f"/{case.batch_id}/retry")).status_code == 200
        again = (await survey.unfinished())[Urgency.ROUTINE]
        assert again.number == first.number
        await case.say(report_created(tenant=case.tenant, instance_id=case.instance_id))
        await case.becomes("reported")
        async with asyncio.timeout(10):
            while _number(await survey.unfinished()) != first.number - 1:
                await asyncio.sleep(0.02)


def _number(found: object) -> int:
    assert isinstance(found, dict)
    cases = found.get(Urgency.ROUTINE)
    return cases.number if cases else 0
