"""Settings of the development token issuer."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class IssuerSettings(BaseSettings):
    """Read from RADRELAY_ISSUER_*."""

    model_config = SettingsConfigDict(env_prefix="RADRELAY_ISSUER_", frozen=True)

    identifier: str
    """The `iss` of every token, which is also the address that clients know."""
    audience: str = "radrelay"
    key_file: Path
    """The private signing key; made at the first start."""
