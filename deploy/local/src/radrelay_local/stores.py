"""The object store that a command speaks to: the one that the environment names, else the local stack's."""

import os
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from radrelay_local.errors import StackError
from radrelay_local.stack import Infrastructure
from radrelay_shared.objects import ObjectStoreSettings
from radrelay_shared.settings import ServiceSettings

_PREFIX: Final = "RADRELAY_OBJECTS__"


class _Environment(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="RADRELAY_", env_nested_delimiter="__", hide_input_in_errors=True)

    objects: ObjectStoreSettings


def settings(home: Path) -> ObjectStoreSettings:
    """The store at RADRELAY_OBJECTS__ENDPOINT, with the other settings that services have; else the local stack's.

    Raises:
        StackError: there is no local stack, or the settings are not complete.
    """
    if f"{_PREFIX}ENDPOINT" not in os.environ:
        return Infrastructure(home).objects
    try:
        return _Environment().objects
    except ValidationError as error:
        places = {_PREFIX + "__".join(map(str, each["loc"][1:])).upper(): each["msg"] for each in error.errors()}
        raise StackError("; ".join(f"{name}: {message}" for name, message in places.items())) from error
