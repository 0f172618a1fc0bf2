"""A report as a FHIR document, on ports."""

import hashlib
import json
from collections.abc import Callable
from uuid import UUID

from radrelay_shared.audit.ports import ReadLog
from radrelay_shared.database import Scope
from report_service.domain.audit import AuditAction
from report_service.domain.fhir.bundle import report_bundle
from report_service.domain.fhir.reviewed import SETTLING, Reviewed
from report_service.handlers import FetchedRendering, fact_about, found
from report_service.reviewing import ReviewStore, ReviewUnit


async def fetch_bundle(
    report_id: UUID, *, known: Callable[[str], bool], scope: Scope, store: ReviewStore, reads: ReadLog
) -> FetchedRendering:
    """A report with the review that stands, as a Bundle in JSON. `known` says of a tag whether the caller holds it.

    Who took it is recorded before it is returned, also where the caller holds it.

    Raises:
        NotFound: no such report for this scope.
    """
    async with store.transaction(scope) as unit:
        report = found(await unit.find(report_id))
        reviewed = await _reviewed(report_id, unit)
    content = json.dumps(report_bundle(report, reviewed), ensure_ascii=False, indent=2).encode()
    etag = hashlib.sha256(content).hexdigest()
    await reads.record(fact_about(report, AuditAction.FHIR_READ, scope.owner_id))
    return FetchedRendering(etag, None if known(etag) else content)


async def _reviewed(report_id: UUID, unit: ReviewUnit) -> Reviewed | None:
    review = await unit.current_review(report_id)
    if review is None:
        return None
    return Reviewed(review, await unit.reviewed_as(SETTLING, report_id, review.version))
