"""A database that is away."""

from pydantic import SecretStr

from dashboard_service.main import create_app
from dashboard_service.settings import DashboardSettings
from support.asgi import serving
from support.tokens import TestIssuer


async def test_a_database_that_is_away_is_answered_503_and_the_client_is_told_to_retry(
    settings: DashboardSettings, issuer: TestIssuer
) -> None:
    away = SecretStr("postgresql+asyncpg://nobody:nothing@127.0.0.1:9/none")
    broken = settings.model_copy(update={"database": settings.database.model_copy(update={"app_url": away})})
    async with serving(create_app(broken)) as client:
        answer = await client.get("/v1/summary", headers=issuer.bearer("north", "dr-ada"))
        assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
        assert answer.headers["retry-after"]
        assert (await client.get("/readyz")).json()["away"] == ["database"]
        assert (await client.get("/livez")).status_code == 200
