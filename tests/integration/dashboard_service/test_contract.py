"""The API does what its OpenAPI document says, whatever is sent to it."""

from pathlib import Path

import pytest

from dashboard_service.main import create_app
from dashboard_service.settings import DashboardSettings
from support.contracts import UNLIMITED, assert_conforms
from support.serving import served
from support.tenants import new_tenant
from support.tokens import TestIssuer


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("role", ["clinician", "tenant_admin"])
async def test_whatever_is_sent_is_answered_as_the_openapi_document_says(
    settings: DashboardSettings, issuer: TestIssuer, tmp_path: Path, api_examples: int, role: str
) -> None:
    token = issuer.token(new_tenant(), "dr-a", (role,))
    changed = settings.model_copy(update={"rate_limits": UNLIMITED, "stream_s": 0.1})
    async with served(create_app(changed)) as address:
        await assert_conforms(address, token, {}, tmp_path, max_examples=api_examples)
