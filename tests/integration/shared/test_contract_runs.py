"""A fault of an API does not get past the run of schemathesis that is to find it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

from radrelay_shared.http import NotFound, create_app
from support.contracts import assert_conforms
from support.serving import served

router = APIRouter()


@router.get("/halves/{number}")
async def read_half(number: int) -> int:
    if number == 0:
        raise RuntimeError("planted")
    if number < 0:
        raise NotFound(code="not_said", detail="The document does not say that this may happen.")
    return number


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
    yield {"readiness": {}}


async def test_a_server_error_and_a_status_that_is_not_documented_are_found(tmp_path: Path) -> None:
    async with served(create_app(title="probe", version="1", lifespan=lifespan, routers=[router])) as address:
        with pytest.raises(AssertionError) as caught:
            await assert_conforms(address, "no token", {}, tmp_path, max_examples=2)
    assert "Server error" in str(caught.value)
    assert "Undocumented status code" in str(caught.value)
