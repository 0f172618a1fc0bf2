"""Seals what names patients, so that only who has the tenant's key can go back."""

from ingest_service.deidentification.pseudonyms import tenant_key
from radrelay_shared.sealing import Seal


class Unreadable(ValueError):
    """Sealed by another key, for another tenant or pseudonym, or changed since."""


class Vault:
    """One tenant's Patient IDs, each bound to its tenant and pseudonym."""

    def __init__(self, key: bytes, tenant: str) -> None:
        self._seal = Seal(tenant_key(key, tenant, "vault"))
        self._tenant = tenant

    def seal(self, pseudonym: str, patient_id: str) -> bytes:
        """The identifier, sealed; see `Seal.seal`."""
        return self._seal.seal(patient_id.encode(), self._bound_to(pseudonym))

    def open(self, pseudonym: str, sealed: bytes) -> str:
        """The identifier that was sealed for this pseudonym.

        Raises:
            Unreadable: it cannot be had with this key.
        """
        try:
            return self._seal.open(sealed, self._bound_to(pseudonym)).decode()
        except ValueError as error:
            raise Unreadable("not sealed by this key for this pseudonym") from error

    def _bound_to(self, pseudonym: str) -> bytes:
        return f"{self._tenant}\x1f{pseudonym}".encode()


def waiting_room(key: bytes, tenant: str) -> Seal:
    """Seals one tenant's bytes as received, for as long as they wait in a store to be de-identified."""
    return Seal(tenant_key(key, tenant, "waiting room"))
