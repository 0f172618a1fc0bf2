"""Doing what a keyed request asks for once, and giving its repeats the same answer."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

from ingest_service.domain.idempotency import KeyedRequest
from ingest_service.ports import Answers
from radrelay_shared.database import Scope
from radrelay_shared.http import Conflict, Problem


class KeyReused(Problem):
    """The key belongs to another request."""

    status = 422

    def __init__(self) -> None:
        detail = "This Idempotency-Key was used for another request; take a new one."
        super().__init__(code="idempotency_key_reused", detail=detail)


async def answer_once(
    answers: Answers, caller: Scope, request: KeyedRequest, work: Callable[[UUID], Awaitable[str]]
) -> str:
    """The answer of `work`, or that of the first request of this caller with the same key.

    `work` is given the identifier that what it makes shall have. Where it raises, nothing is remembered, and a repeat
    is judged anew.

    Raises:
        KeyReused: the key belongs to another request.
        Conflict: the first request is still at work.
    """
    claim = await answers.claim(caller, request, datetime.now(UTC))
    if claim is not None and claim.fingerprint != request.fingerprint:
        raise KeyReused
    if claim is not None and claim.answer is not None:
        return claim.answer
    if claim is None or not claim.is_ours:
        raise Conflict(
            code="idempotency_key_in_use",
            detail="A request with this Idempotency-Key is still at work; ask again.",
            headers={"Retry-After": "1"},
        )
    try:
        answer = await work(claim.work_id)
    except Exception:
        await answers.let_go(caller, request.key, claim.work_id)
        raise
    await answers.keep(caller, request.key, claim.work_id, answer)
    return answer
