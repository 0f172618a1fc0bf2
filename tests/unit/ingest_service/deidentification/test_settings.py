import base64

import pytest
from pydantic import SecretStr, ValidationError

from ingest_service.settings import DeidentificationSettings, IngestSettings

KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in {
        "OBJECTS": '{"endpoint": "127.0.0.1:1", "access_key": "a", "secret_key": "s", "bucket_prefix": "bb"}',
        "DATABASE": '{"app_url": "postgresql+asyncpg://a@127.0.0.1/b"}',
        "AUTH": '{"issuer": "i", "audience": "a", "jwks_url": "http://127.0.0.1/jwks"}',
    }.items():
        monkeypatch.setenv(f"RADRELAY_INGEST_{name}", value)
    return monkeypatch


def test_the_profile_of_each_tenant_is_read_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RADRELAY_INGEST_DEIDENTIFICATION", f'{{"north": {{"mode": "basic", "key": "{KEY}"}}}}')
    chosen = IngestSettings().deidentification
    assert chosen.keys() == {"north"}
    assert chosen["north"].key_bytes() == bytes(range(32))


@pytest.mark.parametrize("key", ["", "not base64 !", KEY[:-4], base64.b64encode(b"x" * 33).decode()])
def test_a_malformed_key_ends_the_start_and_is_not_shown(environment: pytest.MonkeyPatch, key: str) -> None:
    environment.setenv("RADRELAY_INGEST_DEIDENTIFICATION", f'{{"north": {{"mode": "basic", "key": "{key}"}}}}')
    with pytest.raises(ValidationError, match=r"north[^:]*\n.*not 32 bytes in base64") as caught:
        IngestSettings()
    assert not key or key not in str(caught.value)


def test_off_needs_no_key_and_other_modes_are_unknown() -> None:
    assert DeidentificationSettings(mode="off").key_bytes() == b""
    with pytest.raises(ValidationError, match="mode"):
        DeidentificationSettings.model_validate({"mode": "full", "key": SecretStr(KEY)})
