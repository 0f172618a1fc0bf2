"""Who is who afterwards: UIDs and patient identifiers as keyed functions of the original ones.

The same key gives the same result in every process and after every start, without a table to look in; without the key
neither the original nor a match with it can be found by trying.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from uuid import UUID

from ingest_service.domain.attributes import registered_name
from radrelay_shared.sealing import derive_key


@dataclass(frozen=True, slots=True)
class PseudonymKeys:
    """What mapping a tenant's UIDs and patient identifiers takes."""

    uid_key: bytes = field(repr=False)
    patient_key: bytes = field(repr=False)

    def map_uid(self, uid: str) -> str:
        """The UID that takes the place of `uid`, under 2.25 (PS3.5 section B.2); registered UIDs stay as they are."""
        uid = uid.strip()
        if not uid or registered_name(uid):
            return uid
        return f"2.25.{UUID(bytes=_digest(self.uid_key, uid)[:16], version=5).int}"

    def pseudonym_of(self, patient_id: str) -> str:
        """The pseudonym that takes the place of a Patient ID: 32 hexadecimal digits; '' for ''."""
        return _digest(self.patient_key, patient_id).hex()[:32] if patient_id else ""


def tenant_key(key: bytes, tenant: str, purpose: str) -> bytes:
    """A key for one purpose of de-identification out of a tenant's."""
    return derive_key(key, "deidentification", tenant, purpose)


def pseudonym_keys(key: bytes, tenant: str) -> PseudonymKeys:
    """The keys of a tenant whose secret is `key`, of 32 bytes."""
    return PseudonymKeys(tenant_key(key, tenant, "uid"), tenant_key(key, tenant, "patient"))


def _digest(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
