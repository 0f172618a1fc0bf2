"""Settings of the development token issuer."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class IssuerSettings(BaseSettings):
    """Read from RADRELAY_ISSUER_*; lists are JSON."""

    model_config = SettingsConfigDict(env_prefix="RADRELAY_ISSUER_", frozen=True)

    identifier: str
    """The `iss` of every token, which is also the address that clients know."""
    audience: str = "radrelay"
    """The `aud` of every access token."""
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost")
    """Names that it answers to besides that of `identifier`: services may fetch its keys by another."""
    key_file: Path
    """The private signing key; made at the first start."""
    client_id: str = "clinician-frontend"
    """The one client that people sign in to: a public one, which has no secret."""
    redirect_uris: tuple[str, ...] = ()
    """Where that client may get its codes, each character for character (RFC 9700, section 2.1)."""
    post_logout_redirect_uris: tuple[str, ...] = ()
    """Where a browser may be sent once somebody signed out, as exactly."""
    browser_token_lifetime_s: int = Field(default=300, ge=1, le=86_400)
    """How long the tokens of somebody who signed in are valid; a refresh token brings new ones."""

    @property
    def origin(self) -> str:
        """The origin of the issuer's own pages (RFC 6454)."""
        address = urlsplit(self.identifier)
        return f"{address.scheme}://{address.netloc}"

    @property
    def allowed_hosts(self) -> list[str]:
        """Every name that it answers to."""
        return [*self.hosts, urlsplit(self.identifier).hostname or ""]

    @property
    def cookie_path(self) -> str:
        """The path under which browsers find the issuer."""
        return urlsplit(self.identifier).path or "/"

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach the issuer by TLS."""
        return urlsplit(self.identifier).scheme == "https"
