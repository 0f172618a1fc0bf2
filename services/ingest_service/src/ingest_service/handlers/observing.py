"""How many cases are not finished, and how old the oldest is, for whoever watches the installation."""

from datetime import UTC, datetime

from ingest_service import metrics
from ingest_service.ports import Survey
from radrelay_shared.events import Urgency


async def observe_unfinished(survey: Survey) -> None:
    """Bring the metrics of unfinished cases to what is so now."""
    found = await survey.unfinished()
    now = datetime.now(UTC)
    for lane in Urgency:
        cases = found.get(lane)
        metrics.UNFINISHED.labels(lane).set(cases.number if cases else 0)
        age_s = (now - cases.oldest_since).total_seconds() if cases else 0.0
        metrics.OLDEST_UNFINISHED_S.labels(lane).set(max(0.0, age_s))
