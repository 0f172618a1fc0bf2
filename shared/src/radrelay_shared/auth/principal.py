"""Who is calling."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a caller may be."""

    CLINICIAN = "clinician"
    TENANT_ADMIN = "tenant_admin"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose token was verified."""

    tenant: str
    owner_id: str
    """The token's `sub`: owner of what this caller uploads."""
    roles: frozenset[Role]

    @property
    def is_tenant_admin(self) -> bool:
        """Whether the caller sees the whole tenant."""
        return Role.TENANT_ADMIN in self.roles
