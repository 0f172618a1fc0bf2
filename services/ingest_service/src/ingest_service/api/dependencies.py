"""What routes are given."""

from typing import Annotated, cast

from fastapi import Depends, Query, Request

from ingest_service.bootstrap import Container
from radrelay_shared.auth import CurrentPrincipal
from radrelay_shared.database import Scope


def _container(request: Request) -> Container:
    return cast("Container", request.state.container)


async def _caller(principal: CurrentPrincipal) -> Scope:
    return Scope.of(principal)


Services = Annotated[Container, Depends(_container)]
Caller = Annotated[Scope, Depends(_caller)]
Limit = Annotated[int, Query(ge=1, le=1000, description="At most so many items.")]
Cursor = Annotated[str | None, Query(max_length=2000, description="`next_cursor` of the page before.")]
