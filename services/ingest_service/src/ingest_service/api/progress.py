"""Live progress of a batch as server-sent events (WHATWG HTML, section 9.2)."""

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent

from ingest_service.adapters.outages import is_outage
from ingest_service.api.dependencies import Caller, Services
from ingest_service.api.schemas import BatchOut
from ingest_service.domain.lifecycle import BatchState
from ingest_service.handlers.batches import watch_batch
from ingest_service.handlers.reading import begin_watching
from radrelay_shared.http import problems

_log = logging.getLogger(__name__)
router = APIRouter(prefix="/v1/batches", tags=["batches"])


async def _visible_batch(batch_id: UUID, caller: Caller, services: Services) -> UUID:
    """Checked and recorded before the stream starts, while there still is a status to answer with."""
    await begin_watching(services.records, services.reads, caller, batch_id)
    return batch_id


@router.get("/{batch_id}/events", response_class=EventSourceResponse, responses=problems({404: "`batch_not_found`"}))
async def stream_progress(
    batch_id: Annotated[UUID, Depends(_visible_batch)], caller: Caller, services: Services
) -> AsyncIterator[ServerSentEvent]:
    """`progress` with the batch as it is now and at each change, then `done`, and the stream ends.

    There is nothing to resume: a client that comes back is sent the batch as it is then. Without `done`
    the stream was cut, and is to be opened again.
    """
    try:
        async with aclosing(watch_batch(services.records, services.changes, caller, batch_id)) as watched:
            async for progress in watched:
                batch = BatchOut.of(progress)
                yield ServerSentEvent(event="progress", data=batch)
                if batch.state is BatchState.DONE:
                    yield ServerSentEvent(event="done", data=batch)
    except Exception as error:
        if not is_outage(error):
            raise
        _log.warning("progress stream ends early", extra={"error": type(error).__name__})
