"""The `Idempotency-Key` header: a repeated request gets the answer of the first."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypeVar
from uuid import UUID, uuid4

from fastapi import Depends, Header, Request
from pydantic import BaseModel

from ingest_service.api.dependencies import Caller, Services
from ingest_service.domain.idempotency import KeyedRequest, fingerprint_of, parse_key
from ingest_service.handlers.idempotency import answer_once
from radrelay_shared.http import BadRequest

AnswerT = TypeVar("AnswerT", bound=BaseModel)
_KEY_PATTERN: Final = r'^([!#-\[\]-~]{1,255}|"[!#-\[\]-~]{1,255}")$'
"""Said, not checked: `parse_key` does, and has an error code of its own."""


class Repeatable:
    """A request that may be repeated, if its client gave it a key."""

    def __init__(
        self,
        request: Request,
        caller: Caller,
        services: Services,
        idempotency_key: Annotated[
            str | None,
            Header(
                description="Names this request. A repeat with the same key gets the same answer for 24 hours, and is"
                " not carried out again. 1 to 255 visible ASCII characters, in quotes or not.",
                json_schema_extra={"pattern": _KEY_PATTERN},
            ),
        ] = None,
    ) -> None:
        self._request = request
        self._caller = caller
        self._services = services
        self._header = idempotency_key

    async def answer(
        self, kind: type[AnswerT], work: Callable[[UUID], Awaitable[AnswerT]], *, content: str = ""
    ) -> AnswerT:
        """The answer of `work`, or that of the first request with this key.

        Args:
            kind: of the answer.
            work: is given the identifier for what it makes.
            content: what tells this request from another to the same path.

        Raises:
            BadRequest: the header holds no key.
            KeyReused, Conflict: see `answer_once`.
        """
        if self._header is None:
            return await work(uuid4())
        key = parse_key(self._header)
        if key is None:
            detail = "An Idempotency-Key is 1 to 255 visible ASCII characters, in quotes or not."
            raise BadRequest(code="invalid_idempotency_key", detail=detail)
        fingerprint = fingerprint_of(self._request.method, self._request.url.path, content)

        async def written(work_id: UUID) -> str:
            return (await work(work_id)).model_dump_json()

        keyed = KeyedRequest(key, fingerprint)
        return kind.model_validate_json(await answer_once(self._services.answers, self._caller, keyed, written))


Once = Annotated[Repeatable, Depends()]
