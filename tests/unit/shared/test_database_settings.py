"""What is said of the database and cannot be: refused before anything is opened."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from radrelay_shared.database import DatabaseSettings
from support.certificates import Authority

URL = "postgresql+asyncpg://report_app:secret@db:5432/radrelay"


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    return Authority(tmp_path).certificate


def settings(**changes: object) -> DatabaseSettings:
    return DatabaseSettings.model_validate({"app_url": URL} | changes)


def test_a_pooler_without_an_address_for_listen_is_refused() -> None:
    with pytest.raises(ValidationError, match="listen_url"):
        settings(pooler="transaction")
    assert settings(pooler="transaction", listen_url=URL).pooler == "transaction"


def test_authorities_that_nothing_would_be_checked_with_are_refused(authority: Path) -> None:
    with pytest.raises(ValidationError, match="sslmode"):
        settings(sslrootcert=authority)


def test_a_file_that_is_not_there_or_holds_no_certificate_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("none")
    for path in (empty, tmp_path / "missing.pem"):
        with pytest.raises(ValidationError, match="sslrootcert"):
            settings(sslmode="verify-full", sslrootcert=path)


def test_a_certificate_and_its_host_are_checked_with_verify_full_alone(authority: Path) -> None:
    assert settings().tls() is None
    checked = settings(sslmode="verify-full", sslrootcert=authority).tls()
    assert checked is not None
    assert checked.check_hostname
    assert [each["issuer"] for each in checked.get_ca_certs()]


def test_the_system_role_without_an_address_is_refused() -> None:
    with pytest.raises(ValueError, match="DATABASE__SYSTEM_URL"):
        settings().system(pool_size=1)


def test_an_address_is_not_shown() -> None:
    assert "secret" not in repr(settings(pooler="transaction", listen_url=URL))
