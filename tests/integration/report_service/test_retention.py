"""What an administrator is told of how long reports are kept."""

from typing import Any

import httpx
import pytest

from report_service.domain.erasure import RetentionPolicy
from report_service.main import create_app
from report_service.settings import ReportSettings
from support.asgi import serving
from support.tenants import new_tenant
from support.tokens import TestIssuer

POLICY = RetentionPolicy(days=3650, days_by_modality={"MG": 7300})


async def ask(
    settings: ReportSettings, issuer: TestIssuer, retention: dict[str, RetentionPolicy], tenant: str, role: str
) -> httpx.Response:
    async with serving(create_app(settings.model_copy(update={"retention": retention}))) as client:
        return await client.get("/v1/retention", headers=issuer.bearer(tenant, "chief", (role,)))


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (POLICY, {"days": 3650, "days_by_modality": {"MG": 7300}}),
        (RetentionPolicy(days_by_modality={"MG": 7300}), {"days": None, "days_by_modality": {"MG": 7300}}),
        (None, {"days": None, "days_by_modality": {}}),
    ],
)
async def test_an_administrator_is_told_the_policy_of_their_tenant_and_of_no_other(
    settings: ReportSettings, issuer: TestIssuer, policy: RetentionPolicy | None, told: dict[str, Any]
) -> None:
    tenant = new_tenant()
    others = {new_tenant(): RetentionPolicy(days=1)}
    retention = others if policy is None else others | {tenant: policy}
    response = await ask(settings, issuer, retention, tenant, "tenant_admin")
    assert (response.status_code, response.json()) == (200, told)


@pytest.mark.parametrize("role", ["clinician", "service"])
async def test_nobody_else_is_told(settings: ReportSettings, issuer: TestIssuer, role: str) -> None:
    tenant = new_tenant()
    response = await ask(settings, issuer, {tenant: POLICY}, tenant, role)
    assert (response.status_code, response.json()["code"]) == (403, "not_tenant_admin")
