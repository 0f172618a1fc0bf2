"""Rate limits of the dashboard API; what they do in full is in tests/unit/shared/test_rate_limits.py."""

from dashboard_service.main import create_app
from dashboard_service.settings import DashboardSettings
from radrelay_shared.http import RateLimitSettings
from support.asgi import serving
from support.tenants import new_tenant
from support.tokens import TestIssuer


async def test_a_user_past_the_limit_is_refused_and_nobody_else(
    settings: DashboardSettings, issuer: TestIssuer
) -> None:
    limits = RateLimitSettings(user_reads="1/hour")
    tenant = new_tenant()
    async with serving(create_app(settings.model_copy(update={"rate_limits": limits}))) as client:

        async def ask(user: str) -> int:
            return (await client.get("/v1/summary", headers=issuer.bearer(tenant, user))).status_code

        assert [await ask("dr-a"), await ask("dr-a"), await ask("dr-b")] == [200, 429, 200]
