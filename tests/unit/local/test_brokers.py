"""Who a command is at the broker: what was given, else a file of secrets."""

from pathlib import Path

import pytest

from radrelay_local import brokers
from radrelay_shared.settings import SECRETS_DIR


@pytest.mark.parametrize(("given", "taken"), [("typed", "typed"), (None, "from a file"), ("", "from a file")])
def test_the_password_is_read_from_a_file_where_none_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None, taken: str
) -> None:
    (tmp_path / "radrelay_nats__password").write_text("from a file")
    monkeypatch.setenv(SECRETS_DIR, str(tmp_path))
    settings = brokers.settings(tmp_path, "nats://broker:4222", "radrelay", given)
    assert settings.password is not None
    assert settings.password.get_secret_value() == taken


def test_a_broker_may_ask_for_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SECRETS_DIR, raising=False)
    assert brokers.settings(tmp_path, "nats://broker:4222", None, None).password is None
