"""Finds, and with `--mend` mends, orphans and dangling rows: `python -m ingest_service.reconcile`.

It reads the settings of the worker. Exit statuses, as of `diff`: 0 all is in order, or all that was found is mended;
1 something is left; 2 it could not be found out.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any, Final

from pydantic import ValidationError

from ingest_service.adapters.outages import is_outage
from ingest_service.adapters.records import PostgresRecords
from ingest_service.adapters.spool import Spool
from ingest_service.adapters.survey import PostgresSurvey
from ingest_service.domain.reconciling import Finding, FindingKind
from ingest_service.handlers.reconciling import Reconciler, Reconciliation
from ingest_service.settings import IngestSettings
from radrelay_shared.errors import ConfigurationError
from radrelay_shared.objects import S3ObjectStore

LEFT: Final = 1
UNKNOWN: Final = 2
_GRACE_S: Final = 24 * 3600.0
_MOST: Final = 1000


async def reconcile(settings: IngestSettings, chosen: argparse.Namespace) -> AsyncIterator[Reconciliation]:
    """What was found of each tenant, one after the other, mended where that was asked for.

    Where a tenant has more than `chosen.most` findings nothing of it is mended: then rather the wrong database or the
    wrong store is set, or a backup was restored, than that so much is amiss.

    Raises:
        ConfigurationError: no system role is set.
        Exception: whatever a store that is away raises.
    """
    urls = settings.database
    if urls.system_url is None:
        raise ConfigurationError("RADRELAY_INGEST_DATABASE__SYSTEM_URL is not set")
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(urls.app(pool_size=2))
        system_database = await stack.enter_async_context(urls.system(pool_size=1))
        objects = await stack.enter_async_context(S3ObjectStore(settings.objects))
        spool = stack.enter_context(Spool(settings.upload.spool_dir))
        reconciler = Reconciler(
            PostgresRecords(database), objects, spool.new_path, grace_s=chosen.grace_s, verify=chosen.verify
        )
        for tenant in chosen.tenant or await PostgresSurvey(system_database).tenants():
            result = await reconciler.find(tenant, chosen.most)
            if chosen.mend and result.found <= chosen.most:
                for finding in result.findings:
                    result.mended += await reconciler.mend(finding)
            yield result


def is_settled(result: Reconciliation, *, mend: bool) -> bool:
    """Whether nothing is left of what was found: mended, or gone by itself when it was about to be."""
    return not result.found or (mend and result.found == len(result.findings))


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line says; ends the process where it says nothing that we understand."""
    parser = argparse.ArgumentParser("reconcile", description="Find orphans and dangling rows. Changes nothing alone.")
    parser.add_argument("--mend", action="store_true", help="mend what is found")
    parser.add_argument("--verify", action="store_true", help="read every object, and compare its SHA-256")
    parser.add_argument("--tenant", action="append", help="only this one; may be repeated")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument(
        "--grace-s",
        type=_not_negative(float),
        default=_GRACE_S,
        help="objects without a row are left alone for so many seconds (%(default)g)",
    )
    parser.add_argument(
        "--most",
        type=_not_negative(int),
        default=_MOST,
        help="print at most so many findings of a tenant; where there are more, mend none (%(default)d)",
    )
    return parser.parse_args(given)


def _not_negative(kind: type[int] | type[float]) -> Any:
    def parse(text: str) -> float:
        value = kind(text)
        if not value >= 0:
            raise argparse.ArgumentTypeError(f"{text} is less than 0")
        return value

    return parse


async def _run(chosen: argparse.Namespace) -> int:
    """Print what is found, and give the exit status that says it."""
    results = []
    settled = True
    async for result in reconcile(IngestSettings(), chosen):
        settled = settled and is_settled(result, mend=chosen.mend)
        if chosen.json:
            results.append(_document(result))
        else:
            _say(_text(result, mend=chosen.mend))
    if chosen.json:
        _say(json.dumps({"mend": chosen.mend, "settled": settled, "tenants": results}, indent=2))
    elif not settled and not chosen.mend:
        _say("Nothing was changed; --mend mends.")
    return 0 if settled else LEFT


def _document(result: Reconciliation) -> dict[str, Any]:
    content = asdict(result)
    content["counts"] = {kind.value: result.counts[kind] for kind in FindingKind}
    content["findings"] = [_finding(each) for each in result.findings]
    return content


def _finding(finding: Finding) -> dict[str, Any]:
    content = asdict(finding)
    del content["tenant"]
    return content | {"row_id": str(finding.row_id) if finding.row_id else None}


def _text(result: Reconciliation, *, mend: bool) -> str:
    counts = ", ".join(f"{result.counts[kind]} {kind}" for kind in FindingKind)
    lines = [
        f"{result.tenant}: {result.objects} objects, {result.records} records ({result.given_up} given up); {counts}"
    ]
    lines += [
        f"  {each.kind} {each.shelf} {each.key}" + (f": {each.fault}" if each.fault else "") for each in result.findings
    ]
    if result.found > len(result.findings):
        lines.append(f"  and {result.found - len(result.findings)} more")
    if mend and result.found:
        few = result.found == len(result.findings)
        lines.append(f"  mended {result.mended}" if few else "  too many to mend: look first, then raise --most")
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def main() -> None:
    """Run, and exit with the status that says what was found."""
    chosen = arguments()
    try:
        status = asyncio.run(_run(chosen))
    except (ValidationError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        status = UNKNOWN
    except Exception as error:
        if not is_outage(error):
            raise
        sys.stderr.write(f"error: a store is away: {type(error).__name__}\n")
        status = UNKNOWN
    raise SystemExit(status)


if __name__ == "__main__":
    main()
