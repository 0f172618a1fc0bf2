"""Who a study is of: what is kept of it is sealed, and found again by a keyed hash.

Of the two, the sealed value says who it is to those who hold the tenant's key. The hash, under a key of its own, only
says whether two are the same; without the key nothing can be found by trying.
"""

import hashlib
import hmac
import json
import logging
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self
from uuid import UUID

from radrelay_shared.sealing import Seal, derive_key

MAX_PATIENT_ID: Final = 64
"""Characters of a Patient ID or its issuer (VR LO, PS3.5 section 6.2)."""
_MARK_BYTES: Final = 4

_log = logging.getLogger(__name__)


class Unreadable(ValueError):
    """Sealed by a key that is not among these, for another study, or changed since."""


@dataclass(frozen=True, slots=True)
class Patient:
    """How a hospital names a patient."""

    patient_id: str = field(repr=False)
    issuer: str | None = field(default=None, repr=False)
    """Issuer of Patient ID, where the image says it."""


def normalised(text: str) -> str:
    """A Patient ID as it is compared: without padding (PS3.5 section 6.2, VR LO), in Unicode's composed form."""
    return unicodedata.normalize("NFC", text.strip("\0 "))


class PatientVault:
    """One tenant's keys: each value is sealed for its tenant and study, and found by HMAC-SHA256."""

    def __init__(self, tenant: str, sealing_keys: Sequence[bytes], search_key: bytes) -> None:
        """The first of the sealing keys seals; all of them open.

        Args:
            tenant: whose keys they are.
            sealing_keys: at least one, of `radrelay_shared.sealing.KEY_BYTES` each.
            search_key: another one.
        """
        self._tenant = tenant
        self._keys = [_SealingKey.of(key, tenant) for key in sealing_keys]
        self._search_key = _derive(search_key, tenant, "search")

    def hash_of(self, patient_id: str) -> bytes:
        """What a Patient ID is found by."""
        return hmac.new(self._search_key, normalised(patient_id).encode(), hashlib.sha256).digest()

    def seal(self, study_id: UUID, patient: Patient) -> bytes:
        """The mark of the key, 4 bytes; then the patient, sealed."""
        key = self._keys[0]
        content = json.dumps([patient.patient_id, patient.issuer]).encode()
        return key.mark + key.seal.seal(content, self._bound_to(study_id))

    def open(self, study_id: UUID, sealed: bytes) -> Patient:
        """The patient that was sealed for this study.

        Raises:
            Unreadable: it cannot be had with these keys.
        """
        mark, rest = sealed[:_MARK_BYTES], sealed[_MARK_BYTES:]
        for key in self._keys:
            if key.mark == mark:
                try:
                    return Patient(*json.loads(key.seal.open(rest, self._bound_to(study_id))))
                except ValueError as error:
                    raise Unreadable("not sealed for this study, or changed since") from error
        raise Unreadable("sealed by a key that is not among the tenant's")

    def is_current(self, sealed: bytes) -> bool:
        """Whether it is sealed by the first key."""
        return sealed.startswith(self._keys[0].mark)

    def _bound_to(self, study_id: UUID) -> bytes:
        return f"{self._tenant}\x1f{study_id}".encode()


class PatientVaults:
    """The vaults of the tenants that have keys."""

    def __init__(self, vaults: Mapping[str, PatientVault]) -> None:
        self._vaults = dict(vaults)

    @property
    def tenants(self) -> list[str]:
        """Who has keys."""
        return sorted(self._vaults)

    def of(self, tenant: str) -> PatientVault:
        """The tenant's vault.

        Raises:
            KeyError: it has no keys, so nothing of its patients is kept.
        """
        return self._vaults[tenant]

    def open(self, tenant: str, study_id: UUID, sealed: bytes | None) -> Patient | None:
        """Who a study is of; None where that is not kept, or no key of ours opens it."""
        if sealed is None or tenant not in self._vaults:
            return None
        try:
            return self._vaults[tenant].open(study_id, sealed)
        except Unreadable as error:
            _log.error("a patient cannot be opened", extra={"reason": str(error)})
            return None


@dataclass(frozen=True, slots=True)
class _SealingKey:
    mark: bytes
    """Tells the tenant's keys apart, and nothing of the key."""
    seal: Seal = field(repr=False)

    @classmethod
    def of(cls, key: bytes, tenant: str) -> Self:
        return cls(_derive(key, tenant, "mark")[:_MARK_BYTES], Seal(_derive(key, tenant, "sealing")))


def _derive(key: bytes, tenant: str, purpose: str) -> bytes:
    return derive_key(key, "patients", tenant, purpose)
