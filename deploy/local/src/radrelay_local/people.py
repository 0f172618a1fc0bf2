"""Who works at the development tenants: the people of the demo, whom the development issuer offers to sign in as."""

from dataclasses import dataclass

from radrelay_shared.auth import Role

NORTH, SOUTH = "north", "south"
DEVELOPMENT_TENANTS = (NORTH, SOUTH)


@dataclass(frozen=True, slots=True)
class User:
    """Someone who uses the product."""

    tenant: str
    name: str
    role: Role


ADA = User(NORTH, "dr-ada", Role.CLINICIAN)
NORTH_ADMIN = User(NORTH, "north-admin", Role.TENANT_ADMIN)
BEN = User(SOUTH, "dr-ben", Role.CLINICIAN)
DEVELOPMENT_USERS = (ADA, NORTH_ADMIN, BEN)
