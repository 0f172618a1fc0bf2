from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from radrelay_local.issuer.main import create_app
from radrelay_local.issuer.settings import IssuerSettings
from support.asgi import serving
from support.clock import Clock
from support.relying_party import ORIGIN, RelyingParty


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> IssuerSettings:
    return IssuerSettings(
        identifier=f"{ORIGIN}/auth",
        key_file=tmp_path_factory.mktemp("issuer") / "key.pem",
        redirect_uris=(f"{ORIGIN}/signed-in", f"{ORIGIN}/other?tab=1"),
        post_logout_redirect_uris=(f"{ORIGIN}/",),
    )


@pytest.fixture
async def browser(settings: IssuerSettings, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that reaches the issuer where the edge has it."""
    edge = FastAPI()
    edge.mount("/auth", create_app(settings, clock))
    async with serving(edge, settings.identifier) as browser:
        yield browser


@pytest.fixture
def client(browser: httpx.AsyncClient) -> RelyingParty:
    """The frontend in that browser."""
    return RelyingParty(browser)
