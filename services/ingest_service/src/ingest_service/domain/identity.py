"""Who an image is: its content, within its tenant and owner."""

from typing import Final
from uuid import UUID, uuid5

_NAMESPACE: Final = UUID("cb44376b-d80d-5205-acd5-f27eb294f12f")


def instance_id_of(tenant: str, owner_id: str, sha256: str) -> UUID:
    """The identifier of these bytes for this owner: the same bytes give the same image, for nobody else.

    `sha256` is the lower-case hexadecimal digest of the file as received.
    """
    return uuid5(_NAMESPACE, "\x1f".join((tenant, owner_id, sha256)))
