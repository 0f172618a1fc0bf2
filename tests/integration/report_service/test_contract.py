"""The API does what its OpenAPI document says, whatever is sent to it."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from radrelay_shared.database import Database, Scope
from radrelay_shared.events import Verdict
from radrelay_shared.objects import S3ObjectStore
from report_service.adapters.links import LinkSigner
from report_service.adapters.postgres import PostgresReportStore
from report_service.api import cursor
from report_service.domain.erasure import ErasureReason, Target
from report_service.domain.pictures import PictureKind, PictureRequest
from report_service.domain.review import Judgement, Label
from report_service.domain.worklist import Position
from report_service.erasing import request_erasures
from report_service.handlers import persist_report
from report_service.links import LinkGrant
from report_service.main import create_app
from report_service.reviewing import review_report
from report_service.settings import ReportSettings
from support.contracts import UNLIMITED, assert_conforms
from support.ct_images import ct
from support.destinations import SOON, failing_destination
from support.dicom_files import encode
from support.events import inference_completed
from support.patients import patient_keys
from support.serving import served
from support.tenants import new_tenant
from support.tokens import TestIssuer


@pytest.mark.timeout(3600)
async def test_whatever_is_sent_is_answered_as_the_openapi_document_says(
    settings: ReportSettings,
    database: Database,
    objects: S3ObjectStore,
    issuer: TestIssuer,
    tmp_path: Path,
    api_examples: int,
) -> None:
    tenant = new_tenant()
    store = PostgresReportStore(database)
    results = [inference_completed(tenant=tenant) for _ in range(2)]
    (_, drawn), (_, gone) = [
        await persist_report(each, reports=store, now=partial(datetime.now, UTC)) for each in results
    ]
    await objects.put(drawn.source_key, encode(ct(np.full((20, 30), 1064, "<u2"))), content_type="application/dicom")
    for report in (drawn, gone):
        await review_report(
            report.report_id,
            Judgement(Verdict.UNSURE, Label.NOT_ASSESSABLE, None, None),
            is_current=lambda version: version == 0,
            scope=Scope(tenant, "dr-a", "clinician"),
            store=store,
        )
    (erasure,) = await request_erasures(
        [Target("2.25.1", None)], ErasureReason.MISTAKE, scope=Scope(tenant, "dr-a", "tenant_admin"), store=store
    )
    grant = LinkGrant(
        Scope(tenant, "dr-a", "clinician"),
        drawn.report_id,
        PictureRequest(PictureKind.IMAGE),
        datetime.now(UTC) + timedelta(hours=1),
    )
    destination_id, event_id = await failing_destination(database, tenant)
    known = {
        "path.erasure_id": [str(erasure.erasure_id)],
        "path.destination_id": [destination_id],
        "path.event_id": [event_id],
        "header.if-match": ["*"],
        "path.link": [LinkSigner(settings.links.keys).sign(grant)],
        "path.report_id": [str(drawn.report_id), str(gone.report_id)],
        "path.study_instance_uid": [drawn.study_instance_uid],
        "path.series_instance_uid": [drawn.series_instance_uid],
        "query.batch_id": [str(drawn.batch_id)],
        "query.series_instance_uid": [drawn.series_instance_uid],
        "query.cursor": [cursor.encode(Position.of(drawn))],
    }
    chosen = {"rate_limits": UNLIMITED, "patients": {tenant: patient_keys()}, "destinations": SOON}
    token = issuer.token(tenant, "dr-a", ("clinician", "tenant_admin"))
    async with served(create_app(settings.model_copy(update=chosen))) as address:
        await assert_conforms(address, token, known, tmp_path, max_examples=api_examples)
