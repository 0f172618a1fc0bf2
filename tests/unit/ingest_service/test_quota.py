"""Quotas as they are set, and the arithmetic of what is left."""

import json
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from pydantic import SecretStr, ValidationError

from ingest_service.domain.quota import Amounts, day_of, end_of
from ingest_service.settings import IngestSettings, QuotaSettings
from radrelay_shared.auth import AuthSettings
from radrelay_shared.database import DatabaseSettings
from radrelay_shared.objects import ObjectStoreSettings

QUOTA = Amounts(tenant_bytes=100, tenant_files=3, user_bytes=50)


def test_a_quota_holds_up_to_its_last_byte_and_file() -> None:
    assert QUOTA.exceeded_by(Amounts(100, 3, 50)) == []
    assert QUOTA.exceeded_by(Amounts(101, 4, 51)) == ["tenant_bytes", "tenant_files", "user_bytes"]
    assert QUOTA.reached_by(Amounts(99, 3, 49)) == ["tenant_files"]
    assert Amounts(60, 2, 10).plus_file(40) == Amounts(100, 3, 50)


def test_what_is_left_is_never_below_zero() -> None:
    assert QUOTA.minus(Amounts(60, 5, 50)) == Amounts(40, 0, 0)


def test_days_are_those_of_utc() -> None:
    late_in_new_york = datetime(2026, 11, 24, 20, tzinfo=timezone(timedelta(hours=-5)))
    assert day_of(late_in_new_york) == date(2026, 11, 25)
    assert end_of(date(2026, 12, 31)) == datetime(2027, 1, 1, tzinfo=UTC)


def test_a_tenants_own_quota_comes_from_the_environment_and_the_rest_is_as_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RADRELAY_INGEST_QUOTA__USER_BYTES_PER_DAY", "7")
    monkeypatch.setenv("RADRELAY_INGEST_QUOTA__TENANTS", json.dumps({"north": {"tenant_files_per_day": 5}}))
    settings = IngestSettings(
        objects=ObjectStoreSettings(endpoint="store:9000", access_key="key", secret_key=SecretStr("secret")),
        database=DatabaseSettings(app_url=SecretStr("postgresql+asyncpg://app@database/radrelay")),
        auth=AuthSettings(issuer="https://issuer.test", jwks_url="https://issuer.test/jwks"),
    )
    usual = QuotaSettings().of("anybody")
    assert settings.quota.of("south") == Amounts(usual.tenant_bytes, usual.tenant_files, 7)
    assert settings.quota.of("north") == Amounts(usual.tenant_bytes, 5, 7)


def test_a_quota_that_is_misspelt_ends_the_start() -> None:
    with pytest.raises(ValidationError):
        QuotaSettings.model_validate({"tenants": {"north": {"tenant_file_per_day": 5}}})
