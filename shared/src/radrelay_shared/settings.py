"""Where services read their settings: the environment, and files for what is secret."""

import os
from typing import Final

from pydantic_settings import BaseSettings, NestedSecretsSettingsSource, PydanticBaseSettingsSource

SECRETS_DIR: Final = "RADRELAY_SECRETS_DIR"
"""Names the folder of secrets; where it is not set, only the environment is read."""


class ServiceSettings(BaseSettings):
    """Settings from the environment, and from one file for each secret.

    A file is called as the variable would be, in upper or lower case: `radrelay_report_nats__password`. That is how
    Docker and Kubernetes mount secrets. The environment goes before files.

    Raises:
        pydantic.ValidationError: a setting is missing or malformed.
        pydantic_settings.SettingsError: the folder of secrets is not there.
    """

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is read, the first first."""
        folder = os.environ.get(SECRETS_DIR)
        files = NestedSecretsSettingsSource(file_secret_settings, secrets_dir=folder, secrets_dir_missing="error")
        return init_settings, env_settings, files
