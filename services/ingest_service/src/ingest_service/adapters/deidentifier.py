"""The de-identification port: the profile in the sandbox, the key to the mapping kept out of it."""

from pathlib import Path

from ingest_service.adapters.sandbox import Sandbox
from ingest_service.deidentification.profile import Patient
from ingest_service.deidentification.pseudonyms import pseudonym_keys
from ingest_service.deidentification.vault import Vault, waiting_room
from ingest_service.domain.model import SealedPatient
from ingest_service.domain.reasons import Refusal, RejectReason
from ingest_service.ports import DeidentifiedFile
from radrelay_shared.sealing import BadSeal


class SandboxedDeidentifier:
    """De-identifies the files of one tenant, whose secret is `key`, of 32 bytes."""

    def __init__(self, sandbox: Sandbox, tenant: str, key: bytes) -> None:
        self._sandbox = sandbox
        self._keys = pseudonym_keys(key, tenant)
        self._vault = Vault(key, tenant)
        self._waiting_room = waiting_room(key, tenant)

    async def deidentify(self, source: Path, target: Path) -> DeidentifiedFile:
        """Write the validated file at `source` to `target`.

        Raises:
            Refusal: it cannot be; what is at `target` then is to be thrown away.
        """
        done = await self._sandbox.deidentify(source, target, self._keys)
        patient = None if done.patient is None else self._sealed(done.patient)
        return DeidentifiedFile(done.facts, done.size_bytes, done.sha256, patient)

    def seal(self, content: bytes) -> bytes:
        """Encrypt what was received, to lie in a store until it is de-identified."""
        return self._waiting_room.seal(content)

    def unseal(self, sealed: bytes) -> bytes:
        """Take `seal` back.

        Raises:
            Refusal: the content cannot be had any more, as after a change of the key.
        """
        try:
            return self._waiting_room.open(sealed)
        except BadSeal as error:
            raise Refusal(RejectReason.TRUNCATED, "a stored part of the upload cannot be opened") from error

    def _sealed(self, patient: Patient) -> SealedPatient:
        return SealedPatient(patient.pseudonym, self._vault.seal(patient.pseudonym, patient.patient_id))
