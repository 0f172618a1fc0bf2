"""Says who is behind a pseudonym: `python -m ingest_service.reidentify TENANT PSEUDONYM`.

It reads the settings of the API, and needs the tenant's key among them. Each time leaves an audit record.
"""

import argparse
import asyncio
import getpass
from datetime import UTC, datetime

from ingest_service.adapters.records import PostgresRecords
from ingest_service.deidentification.vault import Unreadable, Vault
from ingest_service.domain.audit import AuditAction
from ingest_service.settings import IngestSettings
from radrelay_shared.audit import AuditFact
from radrelay_shared.database import Scope


async def reidentify(settings: IngestSettings, tenant: str, pseudonym: str) -> str:
    """The Patient ID behind a pseudonym of a tenant.

    Raises:
        LookupError: the tenant has no key here, or no such pseudonym.
        Unreadable: it was sealed under another key.
    """
    chosen = settings.deidentification.get(tenant)
    if chosen is None or not chosen.key_bytes():
        raise LookupError("this tenant has no key in RADRELAY_INGEST_DEIDENTIFICATION")
    async with (
        settings.database.app() as database,
        PostgresRecords(database).transaction(Scope.service(tenant)) as tx,
    ):
        sealed = await tx.find_patient(pseudonym)
        if sealed is None:
            raise LookupError("this tenant has no such pseudonym")
        patient_id = Vault(chosen.key_bytes(), tenant).open(pseudonym, sealed)
        actor = f"operator:{getpass.getuser()}"
        await tx.audit(AuditFact(tenant, actor, AuditAction.PATIENT_REIDENTIFIED, datetime.now(UTC)))
    return patient_id


def main() -> None:
    """Print the Patient ID."""
    parser = argparse.ArgumentParser("python -m ingest_service.reidentify", description="Who is behind a pseudonym.")
    parser.add_argument("tenant")
    parser.add_argument("pseudonym")
    arguments = parser.parse_args()
    try:
        patient_id = asyncio.run(reidentify(IngestSettings(), arguments.tenant, arguments.pseudonym))
    except (LookupError, Unreadable) as error:
        raise SystemExit(f"error: {error.args[0]}") from error
    print(patient_id)  # noqa: T201  # what the command is for


if __name__ == "__main__":
    main()
