"""Seals all patients anew under each tenant's first key: `python -m report_service.reseal`.

It reads the settings of the API. Run it after a new key was put first, everywhere; then the old key can go.
"""

import asyncio

from report_service.adapters.postgres import PostgresReportStore
from report_service.domain.patients import Unreadable
from report_service.patient_handlers import reseal
from report_service.settings import ReportSettings


async def reseal_all(settings: ReportSettings) -> dict[str, int]:
    """How many patients were sealed anew, by tenant.

    Raises:
        Unreadable: a key is missing.
    """
    async with settings.database.app() as database:
        store = PostgresReportStore(database)
        return {tenant: await reseal(tenant, keys.vault(tenant), store) for tenant, keys in settings.patients.items()}


def main() -> None:
    """Print what was done."""
    try:
        resealed = asyncio.run(reseal_all(ReportSettings()))
    except Unreadable as error:
        raise SystemExit(f"error: a patient is {error.args[0]}") from error
    for tenant, number in resealed.items():
        print(f"{tenant}: {number} sealed anew")  # noqa: T201  # what the command is for


if __name__ == "__main__":
    main()
