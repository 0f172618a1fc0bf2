"""The commands of `radrelay audit`."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import nats.errors
import typer
from rich.console import Console

from radrelay_local import brokers
from radrelay_local.audit.fhir import audit_event
from radrelay_local.audit.trail import AuditTrail, read_heads
from radrelay_local.brokers import NatsOption, PasswordOption, UserOption
from radrelay_local.errors import StackError
from radrelay_local.options import DEFAULT_HOME, HomeOption
from radrelay_local.stack import RunningStack
from radrelay_shared.audit import AuditRecord, Head, Verification
from radrelay_shared.events import TENANT_PATTERN, InvalidEvent
from radrelay_shared.messaging import NatsSettings

HOLDS: Final = 0
BROKEN: Final = 1
UNKNOWN: Final = 2
"""Exit statuses as `diff` has them: as it should be, not as it should be, and it could not be found out."""
_SHOWN_FAULTS: Final = 20


class Service(StrEnum):
    """A service that keeps audit trails."""

    INGEST = "ingest"
    REPORT = "report"


_AT_EDGE: Final = {Service.INGEST: "/api/ingest", Service.REPORT: "/api/reports"}
_ADDRESSED_BY: Final = {Service.INGEST: "--url", Service.REPORT: "--report-url"}

app = typer.Typer(help="A tenant's audit trail: check that it is whole, and take it out.", no_args_is_help=True)
_out = Console(highlight=False, soft_wrap=True, markup=False)
_error = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def _tenant(name: str) -> str:
    if not re.fullmatch(TENANT_PATTERN, name):
        raise typer.BadParameter(f"{name!r} is no name of a tenant")
    return name


TenantOption = Annotated[str, typer.Option("--tenant", callback=_tenant, help="Whose trail.")]
ServiceOption = Annotated[
    Service | None, typer.Option("--service", help="Whose trail of the tenant; of every service otherwise.")
]
IngestUrlOption = Annotated[
    str | None,
    typer.Option("--url", envvar="RADRELAY_INGEST_URL", help="Address of the ingest API; the local stack's otherwise."),
]
ReportUrlOption = Annotated[
    str | None,
    typer.Option(
        "--report-url", envvar="RADRELAY_REPORT_URL", help="Address of the report API; the local stack's otherwise."
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="RADRELAY_TOKEN",
        help="Of an administrator of the tenant; the local issuer gives one otherwise.",
    ),
]


class Format(StrEnum):
    """What `export` writes."""

    FHIR = "fhir-ndjson"
    PLAIN = "ndjson"


@app.command()
def verify(  # noqa: PLR0913, PLR0917  # each is an option of the command
    tenant: TenantOption,
    service: ServiceOption = None,
    url: IngestUrlOption = None,
    report_url: ReportUrlOption = None,
    token: TokenOption = None,
    nats_url: NatsOption = None,
    user: UserOption = None,
    password: PasswordOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Compute the chains again and compare them with the published heads.

    Exits with 1 where a chain is broken, else with 2 where that could not be found out of one, and with 0 where all
    hold.
    """
    source = _Source(tenant, home, token, {Service.INGEST: url, Service.REPORT: report_url})
    found = set()
    for each in _chosen(service):
        _out.print(f"The trail of {tenant} in the {each} service:")
        try:
            found.add(_verify(source, each, brokers.settings(home, nats_url, user, password)))
        except StackError as error:
            _error.print(f"radrelay: {error}")
            found.add(UNKNOWN)
    raise typer.Exit(next(status for status in (BROKEN, UNKNOWN, HOLDS) if status in found))


@app.command()
def export(
    tenant: TenantOption,
    service: ServiceOption = None,
    form: Annotated[
        Format, typer.Option("--format", help="FHIR R4 AuditEvent resources, or the records as they are.")
    ] = Format.FHIR,
    after: Annotated[
        int, typer.Option(min=0, help="Only what follows the record with this number; needs --service.")
    ] = 0,
    url: IngestUrlOption = None,
    report_url: ReportUrlOption = None,
    token: TokenOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Print the trails, one JSON document a line, each oldest first. Exits with 2 where one could not be read."""
    if after and service is None:
        raise typer.BadParameter("each service counts its own records: name one with --service")
    source = _Source(tenant, home, token, {Service.INGEST: url, Service.REPORT: report_url})
    try:
        for each in _chosen(service):
            with source.trail(each) as trail:
                for record in trail.records(after=after):
                    document = audit_event(record, each) if form is Format.FHIR else _plain(record, each)
                    typer.echo(json.dumps(document, default=_text))
    except StackError as error:
        _error.print(f"radrelay: {error}")
        raise typer.Exit(UNKNOWN) from error


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a tenant's trails are read."""

    tenant: str
    home: Path
    token: str | None
    urls: Mapping[Service, str | None]

    @contextmanager
    def trail(self, service: Service) -> Iterator[AuditTrail]:
        """The trail at the address that was named, else at the local stack."""
        url, token = self.urls[service], self.token
        if url is None and any(self.urls.values()):
            raise StackError(f"where the {service} API is was not said: give {_ADDRESSED_BY[service]} or --service")
        if url is not None and token is None:
            raise StackError(f"{_ADDRESSED_BY[service]} needs --token, or better RADRELAY_TOKEN")
        if url is None or token is None:
            stack = RunningStack(self.home)
            url = url or f"{stack.base_url}{_AT_EDGE[service]}"
            token = token or stack.issue_token(self.tenant, "radrelay-audit", ["tenant_admin"])
        with AuditTrail(service, url, token, self.tenant) as trail:
            yield trail


def _chosen(service: Service | None) -> Sequence[Service]:
    return list(Service) if service is None else [service]


def _verify(source: _Source, service: Service, broker: NatsSettings) -> int:
    heads = _published(broker, source.tenant, service)
    verification = Verification(head for head, _ in heads)
    with source.trail(service) as trail:
        for record in trail.records():
            verification.add(record)
    verification.finish()
    return _print_verdict(verification, heads)


def _published(settings: NatsSettings, tenant: str, service: Service) -> list[tuple[Head, datetime]]:
    async def read() -> list[tuple[Head, datetime]]:
        async with brokers.connected(settings, name="radrelay-audit") as js:
            return await read_heads(js, tenant, service)

    try:
        return asyncio.run(read())
    except InvalidEvent as error:
        raise StackError(f"the stream of heads holds what is no event: {error}") from error
    except nats.errors.Error as error:
        raise StackError(f"the broker does not give the published heads: {error}") from error


def _print_verdict(verification: Verification, heads: list[tuple[Head, datetime]]) -> int:
    """Print what was found, and give the exit status that says it."""
    if heads:
        newest, at = max(heads, key=lambda each: each[0].sequence)
        _out.print(f"{len(heads)} published heads, the newest of record {newest.sequence} at {at.isoformat()}.")
    _out.print(f"{verification.records} records, the last one is number {verification.last_sequence}.")
    for fault in verification.faults[:_SHOWN_FAULTS]:
        _out.print(f"record {fault.sequence}: {fault.kind}: {fault.detail}")
    if verification.faults:
        _out.print(f"BROKEN: {len(verification.faults)} faults, the first at record {verification.faults[0].sequence}.")
        return BROKEN
    if not heads:
        _out.print("UNKNOWN: the chain holds, but no head of it was published: an end that was cut off would not show.")
        return UNKNOWN
    _out.print(f"HOLDS: as published up to record {verification.newest_head}, and in itself to the end.")
    return HOLDS


def _plain(record: AuditRecord, service: Service) -> dict[str, Any]:
    content = asdict(record)
    return {"service": service, "sequence": record.sequence, **content.pop("fact"), **content}


def _text(value: Any) -> str:
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else str(value)
