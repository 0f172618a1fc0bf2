"""Settings come from the environment, and secrets from files as Docker and Kubernetes mount them."""

from pathlib import Path

import pytest
from pydantic_settings import SettingsConfigDict, SettingsError

from radrelay_shared.messaging import NatsSettings
from radrelay_shared.settings import SECRETS_DIR, ServiceSettings


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="RADRELAY_SAMPLE_", env_nested_delimiter="__", extra="forbid")

    nats: NatsSettings


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as Kubernetes mounts it: links into a folder that is replaced when a secret changes."""
    (tmp_path / "..data").mkdir()
    monkeypatch.setenv(SECRETS_DIR, str(tmp_path))
    monkeypatch.setenv("RADRELAY_SAMPLE_NATS__URL", "nats://broker:4222")
    return tmp_path


def mount(folder: Path, name: str, content: str) -> None:
    (folder / "..data" / name).write_text(content)
    (folder / name).symlink_to(Path("..data") / name)


@pytest.mark.parametrize("name", ["radrelay_sample_nats__password", "RADRELAY_SAMPLE_NATS__PASSWORD"])
def test_a_secret_is_read_from_its_file_and_the_rest_from_the_environment(mounted: Path, name: str) -> None:
    mount(mounted, name, "from a file\n")
    mount(mounted, "radrelay_other_nats__password", "of another service")
    nats = Settings().nats
    assert nats.url == "nats://broker:4222"
    assert nats.password is not None
    assert nats.password.get_secret_value() == "from a file"


def test_the_environment_goes_before_files(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mount(mounted, "radrelay_sample_nats__password", "from a file")
    monkeypatch.setenv("RADRELAY_SAMPLE_NATS__PASSWORD", "from the environment")
    nats = Settings().nats
    assert nats.password is not None
    assert nats.password.get_secret_value() == "from the environment"


def test_a_folder_that_is_not_there_is_named(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRETS_DIR, str(mounted / "absent"))
    with pytest.raises(SettingsError, match="absent"):
        Settings()
