"""Reports with their images in the stores, and how what belongs to one is asked for."""

from datetime import UTC, datetime
from typing import Any

import httpx

from radrelay_shared.database import Database
from radrelay_shared.objects import S3ObjectStore
from report_service.adapters.postgres import PostgresReportStore
from report_service.domain.report import Report
from report_service.handlers import persist_report
from support.events import inference_completed
from support.tenants import new_tenant
from support.tokens import TestIssuer


async def persisted(database: Database, objects: S3ObjectStore, content: bytes | None, **changes: Any) -> Report:
    """The report of a result of dr-a with these changes, of a tenant of its own; without content its image is gone."""
    result = inference_completed(**{"tenant": new_tenant()} | changes)
    _, report = await persist_report(result, reports=PostgresReportStore(database), now=lambda: datetime.now(UTC))
    if content is not None:
        await objects.put(report.source_key, content, content_type="application/dicom")
    return report


async def ask_for(
    client: httpx.AsyncClient, issuer: TestIssuer, report: Report, part: str, /, **headers: str
) -> httpx.Response:
    """What its owner is answered who asks for a part of a report, such as `image?size=64`."""
    address = f"/v1/reports/{report.report_id}/{part}"
    return await client.get(address, headers=issuer.bearer(report.tenant, "dr-a") | headers)
