"""The API does what its OpenAPI document says, whatever is sent to it."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest

from ingest_service.settings import IngestSettings
from support.contracts import UNLIMITED, assert_conforms
from support.dicom_files import dicom_file
from support.ingest_api import IngestUser
from support.tenants import new_tenant
from support.tokens import TestIssuer

OPEN_BATCHES = 40
UPLOAD_BYTES = 1000
LISTS = ("/v1/batches", "/v1/batches/{batch}/files", "/v1/rejected-files")


@pytest.mark.timeout(3600)
async def test_whatever_is_sent_is_answered_as_the_openapi_document_says(
    serving: Callable[..., AbstractAsyncContextManager[str]],
    settings: IngestSettings,
    issuer: TestIssuer,
    tmp_path: Path,
    api_examples: int,
) -> None:
    headers = issuer.bearer(new_tenant(), "dr-a", ("clinician", "tenant_admin"))
    upload = settings.upload.model_copy(update={"max_open_uploads": 100_000, "max_file_bytes": 1 << 40})
    async with serving(rate_limits=UNLIMITED, upload=upload) as address:
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            known = await something_to_find(IngestUser(client, headers))
        token = headers["Authorization"].removeprefix("Bearer ")
        await assert_conforms(address, token, known, tmp_path, max_examples=api_examples)


async def something_to_find(admin: IngestUser) -> dict[str, Sequence[str | int]]:
    """Batches, one of them closed and two with files, and rejected files; their identifiers, and cursors."""
    # Many, since each is closed sooner or later, and takes no more files then.
    batches = await asyncio.gather(*(admin.open_batch(label="label") for _ in range(OPEN_BATCHES)))
    for batch, close in zip(batches, (True, False), strict=False):
        await admin.upload(batch, {"a.dcm": dicom_file(), "b.dcm": b"not DICOM"}, close=close)
    rejected = (await admin.request("GET", "/v1/rejected-files")).json()["rejected_files"]
    pages = [await admin.request("GET", each.format(batch=batches[0]), params={"limit": 1}) for each in LISTS]
    uploads = await asyncio.gather(*(begin_upload(admin, batches[-1]) for _ in range(OPEN_BATCHES)))
    return {
        "path.batch_id": batches,
        "path.upload_id": uploads,
        "header.upload-length": [1, UPLOAD_BYTES],
        "header.upload-metadata": ["filename YS5kY20="],
        "header.upload-offset": [0],
        "path.rejected_id": [file["rejected_id"] for file in rejected],
        "query.cursor": [page.json()["next_cursor"] for page in pages],
    }


async def begin_upload(admin: IngestUser, batch_id: str) -> str:
    """A resumable upload that nothing has come of yet."""
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(UPLOAD_BYTES)}
    response = await admin.call("POST", f"/{batch_id}/uploads", headers=headers)
    return response.headers["Location"].rpartition("/")[2]
