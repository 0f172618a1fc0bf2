"""Which setting of which process a variable of the environment, or a file of secrets, means."""

from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_settings import SettingsConfigDict

from dashboard_service.settings import DashboardSettings
from inference_service.settings import BatchingSettings, ServerSettings, WorkerSettings
from ingest_service.settings import IngestSettings
from radrelay_local.issuer.settings import IssuerSettings
from radrelay_shared.messaging import NatsSettings
from radrelay_shared.objects import ObjectStoreSettings
from radrelay_shared.settings import SECRETS_DIR, ServiceSettings
from report_service.settings import ReportSettings


class ToolSettings(ServiceSettings):
    """What `radrelay tenants` and `radrelay deadletters` read."""

    model_config = SettingsConfigDict(env_prefix="RADRELAY_", env_nested_delimiter="__")

    objects: ObjectStoreSettings
    nats: NatsSettings


SETTINGS: Final[dict[str, tuple[type[BaseModel], ...]]] = {
    "radrelay_ingest_": (IngestSettings,),
    "radrelay_report_": (ReportSettings,),
    "radrelay_dashboard_": (DashboardSettings,),
    "radrelay_inference_": (ServerSettings, WorkerSettings, BatchingSettings),
    "radrelay_issuer_": (IssuerSettings,),
    "radrelay_": (ToolSettings,),
}
"""By the prefix of its variables, the longer before those that they begin with."""


def is_setting(name: str) -> bool:
    """Whether something reads the variable, or the file of secrets, of this name."""
    lowered = name.lower()
    if name == SECRETS_DIR:
        return True
    prefix = next((each for each in SETTINGS if lowered.startswith(each)), None)
    if prefix is None:
        return False
    path = lowered.removeprefix(prefix).split("__")
    return any(_leads_somewhere(settings, path) for settings in SETTINGS[prefix])


def _leads_somewhere(model: type[BaseModel], path: list[str]) -> bool:
    field = model.model_fields.get(path[0])
    if field is None:
        return False
    return len(path) == 1 or any(_leads_somewhere(inner, path[1:]) for inner in _models(field.annotation))


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models among what a field may hold."""
    if get_origin(annotation) in {Union, UnionType}:
        return [model for each in get_args(annotation) for model in _models(each)]
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
