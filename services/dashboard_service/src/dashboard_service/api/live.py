"""Live figures as server-sent events (WHATWG HTML, section 9.2)."""

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent

from dashboard_service.api.routes import PROBLEMS, Asked, Services
from dashboard_service.api.schemas import SummaryView
from dashboard_service.handlers import reading, watching
from dashboard_service.handlers.questions import Question
from radrelay_shared.auth import CurrentPrincipal
from radrelay_shared.database import is_database_outage

_log = logging.getLogger(__name__)
router = APIRouter(prefix="/v1", tags=["figures"])


async def _answered(question: Asked, principal: CurrentPrincipal, services: Services) -> Question:
    """Asked once before the stream starts, while there still is a status to answer with."""
    await reading.get_summary(question, principal=principal, store=services.figures)
    return question


@router.get("/summary/events", response_class=EventSourceResponse, responses=PROBLEMS)
async def stream_summary(
    question: Annotated[Question, Depends(_answered)], principal: CurrentPrincipal, services: Services
) -> AsyncIterator[ServerSentEvent]:
    """`summary` with the figures as they are now, and again whenever they change.

    The stream ends after a while, 15 minutes unless that is configured: open it again, with a token that is valid.
    There is nothing to resume: a client that comes back is sent the figures as they are then.
    """
    watched = watching.watch_summary(
        question,
        principal=principal,
        store=services.figures,
        changes=services.changes,
        for_s=services.stream_s,
    )
    try:
        async with aclosing(watched) as summaries:
            async for summary in summaries:
                yield ServerSentEvent(event="summary", data=SummaryView.of(summary))
    except Exception as error:
        if not is_database_outage(error):
            raise
        _log.warning("summary stream ends early", extra={"error": type(error).__name__})
