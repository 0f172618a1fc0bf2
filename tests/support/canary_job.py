"""A hospital's day with a canary wherever a patient's name could be: good files, bad files, odd requests and faults."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import nats
from pydicom import dcmread
from pydicom.uid import UID
from pynetdicom import AE

from radrelay_local.client.answers import Batch
from radrelay_local.parts.services import AE_TITLE, DEMONSTRATION_PEER
from radrelay_local.ports import LOOPBACK
from radrelay_shared.events import Event
from radrelay_shared.messaging import subject_for
from radrelay_shared.messaging.publisher import MESSAGE_ID
from support.canaries import Canaries, fill
from support.dicom_files import encode, image
from support.events import inference_completed, inference_failed, instance_stored, report_created
from support.hospital import finished, head, person, poison, write_zip
from support.stack import RunningStack
from support.tenants import new_tenant

_SEED = 9000
_NUL = "\0"
_REFUSED = (("report.kinds", "finding"), ("dashboard.cases", "owner_id"))
"""Columns that PostgreSQL is told to take no canary in. It says so with the whole row, and workers try again."""


@dataclass
class CanaryJob:
    """What was done, and where canaries were put."""

    canaries: Canaries = field(default_factory=Canaries)
    tenant: str = field(default_factory=new_tenant)
    faulty_tenant: str = field(default_factory=new_tenant)
    """The tenant of the events that the test itself published, which hold canaries."""
    trace_id: str = "c0ffee" + "ab" * 13
    """Of the upload of the archive."""
    retried_trace_id: str = "c0ffee" + "cd" * 13
    """Of the upload of an image that its owner has screened again."""
    batches: list[Batch] = field(default_factory=list)
    refusals: list[bytes] = field(default_factory=list)
    """Bodies of answers with 4xx and 5xx to the odd requests."""

    async def run(self, stack: RunningStack, folder: Path) -> None:
        """Do all of it."""
        async with self._client(stack) as client:
            self.batches.append(await self._send_archive(stack, client, folder))
            self.batches.append(await self._send_in_pieces(stack, client))
            await self._try_again(stack, client)
            await self._hang_up(client)
            await self._ask_oddly(client)
            await asyncio.to_thread(self._send_over_the_dicom_network, stack)
            await self._meet_an_outage(stack, client)
        await self._force_faults(stack)

    @asynccontextmanager
    async def _client(self, stack: RunningStack) -> AsyncIterator[httpx.AsyncClient]:
        token = stack.issue_token(self.tenant, "dr-ada", ["clinician"])
        headers = {"Authorization": f"Bearer {token}", "User-Agent": self.canaries.put("User-Agent")}
        async with httpx.AsyncClient(base_url=stack.base_url, headers=headers, timeout=60, trust_env=False) as client:
            yield client

    async def _send_archive(self, stack: RunningStack, client: httpx.AsyncClient, folder: Path) -> Batch:
        put = self.canaries.put
        members = [
            (f"{put('ZIP member')}/{put('ZIP member')}.dcm", fill(self.canaries, head(_SEED))),
            (f"{put('refused ZIP member')}.dcm", fill(self.canaries, head(_SEED + 1))[:-5000]),
            (f"../../{put('ZIP member that leaves the archive')}.dcm", head(_SEED + 2)),
            (f"{put('ZIP member that is no DICOM')}.dcm", put("text of what is no DICOM").encode()),
        ]
        archive = write_zip(folder / "study.zip", members)
        bad = dcmread(BytesIO(fill(self.canaries, head(_SEED + 3))))
        bad.Rows = 7
        mismatched = BytesIO()
        bad.save_as(mismatched)
        files = {
            f"{put('file name of an archive')}.zip": archive.read_bytes(),
            f"{put('file name')}.dcm": fill(self.canaries, poison(_SEED + 4)),
            f"{put('file name of a refused file')}.dcm": mismatched.getvalue(),
        }
        async with person(stack, self.tenant, "dr-ada") as ada:
            batch = await ada.open_batch()
            traced = {
                "traceparent": f"00-{self.trace_id}-{'cd' * 8}-01",
                "tracestate": f"vendor={put('tracestate').lower()}",
                "baggage": f"patient={put('baggage')}",
            }
            answer = await client.post(
                f"/api/ingest/v1/batches/{batch.batch_id}/files?close=true&note={put('query of an upload')}",
                files=[("files", (name, content)) for name, content in files.items()],
                headers=traced,
            )
            assert answer.status_code == 200, answer.text
            return await finished(ada, batch)

    async def _send_in_pieces(self, stack: RunningStack, client: httpx.AsyncClient) -> Batch:
        """By the protocol for large files, which the worker takes in."""
        content = fill(self.canaries, head(_SEED + 5))
        name = base64.b64encode(f"{self.canaries.put('file name in tus metadata')}.dcm".encode()).decode()
        tus = {"Tus-Resumable": "1.0.0"}
        async with person(stack, self.tenant, "dr-ada") as ada:
            batch = await ada.open_batch()
            begun = await client.post(
                f"/api/ingest/v1/batches/{batch.batch_id}/uploads",
                headers=tus | {"Upload-Length": str(len(content)), "Upload-Metadata": f"filename {name}"},
            )
            assert begun.status_code == 201, begun.text
            sent = await client.patch(
                begun.request.url.join(begun.headers["Location"]),
                headers=tus | {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"},
                content=content,
            )
            assert sent.status_code == 204, sent.text
            async with asyncio.timeout(60):
                while not (await ada.batch(batch.batch_id)).counts.reported:
                    await asyncio.sleep(0.1)
            return await ada.close_batch(batch.batch_id)

    async def _try_again(self, stack: RunningStack, client: httpx.AsyncClient) -> None:
        """An image that no model takes, twice."""
        dataset = image()
        dataset.Modality = "MR"
        async with person(stack, self.tenant, "dr-ada") as ada:
            batch = await ada.open_batch()
            address = f"/api/ingest/v1/batches/{batch.batch_id}"
            sent = await client.post(
                f"{address}/files?close=true",
                files={"files": ("mr.dcm", encode(dataset))},
                headers={"traceparent": f"00-{self.retried_trace_id}-{'cd' * 8}-01"},
            )
            assert sent.status_code == 200, sent.text
            assert (await finished(ada, batch)).counts.failed == 1
            assert (await client.post(f"{address}/retry")).json()["retried"] == 1
            assert (await finished(ada, batch)).counts.failed == 1

    async def _hang_up(self, client: httpx.AsyncClient) -> None:
        """Leave a stream in the middle, which the edge makes a note of."""
        address = f"/api/ingest/v1/batches/{self.batches[0].batch_id}/events"
        quoted = {"note": self.canaries.put("query of a stream that is left")}
        async with client.stream("GET", address, params=quoted) as stream:
            assert stream.status_code == 200
            await anext(stream.aiter_bytes())

    async def _ask_oddly(self, client: httpx.AsyncClient) -> None:
        put = self.canaries.put
        batches, reports = "/api/ingest/v1/batches", "/api/reports/v1"
        json_body = {"Content-Type": "application/json"}
        answers = [
            await client.get(f"/api/reports/{put('path of no route')}"),
            await client.request(put("method of HTTP"), batches),
            await client.get(f"{reports}/reports", params={"modality": put("query with NUL") + _NUL}),
            await client.get(f"{reports}/reports", params={"cursor": put("cursor")}),
            await client.get(f"/api/dashboard/v1/{put('path of the dashboard')}"),
            await client.post(f"{reports}/patients/history", json={"patient_id": put("patient searched for")}),
            await client.post(batches, json={"priority": put("priority")}),
            await client.post(batches, json={"label": put("label with NUL") + _NUL}),
            await client.post(batches, content=f'{{"label": "{put("malformed JSON")}', headers=json_body),
            await client.post(batches, json={}, headers={"Idempotency-Key": put("idempotency key") + "x" * 300}),
            await client.get(batches, headers={"Authorization": f"Bearer {put('token')}"}),
            await client.get(batches, headers={"Host": put("host")}),
        ]
        self.refusals = [each.content for each in answers if each.status_code >= 400]
        assert len(self.refusals) >= len(answers) - 2

    def _send_over_the_dicom_network(self, stack: RunningStack) -> None:
        image = dcmread(BytesIO(fill(self.canaries, head(_SEED + 6))))
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.{uuid4().int}")
        entity = AE(DEMONSTRATION_PEER["calling_ae"])
        entity.add_requested_context(image.SOPClassUID, image.file_meta.TransferSyntaxUID)
        for dataset, taken in ((image, True), (dcmread(BytesIO(head(_SEED + 7))), False)):
            if not taken:
                dataset.Rows = 7
                dataset.PatientName = self.canaries.put("PatientName of a refused C-STORE")
            association = entity.associate(LOOPBACK, stack.ports["ingest-dimse"], ae_title=AE_TITLE)
            assert association.is_established
            status = association.send_c_store(dataset).Status
            association.release()
            assert (status == 0) is taken, hex(status)

    async def _meet_an_outage(self, stack: RunningStack, client: httpx.AsyncClient) -> None:
        """The edge finds a service away, and says so in its own log."""
        await asyncio.to_thread(stack.stop, "report-api")
        try:
            answer = await client.get(
                f"/api/reports/{self.canaries.put('path while a service is away')}",
                params={"q": self.canaries.put("query while a service is away")},
            )
            assert answer.status_code == 502
            self.refusals.append(answer.content)
        finally:
            await asyncio.to_thread(stack.start, "report-api")

    async def _force_faults(self, stack: RunningStack) -> None:
        """An event for each worker that makes its handler fail with a message that quotes it, and one that is none."""
        put, tenant = self.canaries.put, self.faulty_tenant
        connection = await asyncpg.connect(stack.postgres_admin_url.rsplit("/", 1)[0] + "/radrelay")
        for table, column in _REFUSED:
            name = f"no_canary_{self.canaries.run.lower()}"
            refused = f"CHECK ({column} NOT LIKE 'QZ{self.canaries.run}%') NOT VALID"
            await connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {refused}")
        await connection.close()
        events: list[Event[Any]] = [
            instance_stored(tenant=tenant, object_key=f"{tenant}/{put('object key, for the inference worker')}"),
            inference_completed(tenant=tenant, finding=put("finding, for the report worker")),
            inference_failed(tenant=tenant, detail=put("detail, for the ingest worker") + _NUL),
            report_created(tenant=tenant, owner_id=put("owner, for the dashboard worker")),
        ]
        client = await nats.connect(stack.nats_url)
        try:
            js = client.jetstream()
            for event in events:
                await js.publish(subject_for(event), event.to_json(), headers={MESSAGE_ID: event.id})
            no_event = f'{{"type": "{put("type of what is no event")}", "{put("key of what is no event")}": 1}}'
            for event in events:
                await js.publish(subject_for(event), no_event.encode())
        finally:
            await client.close()
