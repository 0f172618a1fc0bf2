"""Taking files in without the API around it."""

import asyncio
from pathlib import Path

from ingest_service.adapters.unpacking import Unpacker
from ingest_service.handlers.registering import GroupedRegister
from ingest_service.ports import Intake, Records, Validator
from ingest_service.settings import QuotaSettings
from radrelay_shared.objects import ObjectStore

STORE_TIMEOUT_S = 20.0


def make_intake(records: Records, objects: ObjectStore, validator: Validator, folder: Path) -> Intake:
    """An intake with quotas that nothing reaches."""
    return Intake(
        records=records,
        register=GroupedRegister(records, objects, STORE_TIMEOUT_S),
        objects=objects,
        validator=validator,
        new_path=lambda: folder / "unused",
        rejected_retention_s=60.0,
        open_archive=Unpacker,
        archive_slots=asyncio.Semaphore(1),
        quota_of=QuotaSettings().of,
        store_timeout_s=STORE_TIMEOUT_S,
    )
