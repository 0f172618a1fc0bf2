"""The commands of `radrelay tenants`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from minio.error import S3Error
from rich.console import Console
from rich.table import Table

from radrelay_local import stores
from radrelay_local.errors import StackError
from radrelay_local.options import DEFAULT_HOME, HomeOption
from radrelay_local.tenants.buckets import NotEmpty, NotErased, NotProvisioned, State, TenantBucket, TenantBuckets
from radrelay_local.tenants.retention import DEFAULT, Retention
from radrelay_shared.objects import OUTAGES, NoBucketName

NOT_AS_WANTED: Final = 1
UNKNOWN: Final = 2
"""Exit statuses beside 0: it is not as it should be, and it could not be done or found out."""

app = typer.Typer(help="Tenants in the object store: a bucket for each, and its settings.", no_args_is_help=True)
_out = Console(highlight=False, soft_wrap=True, markup=False)
_error = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)

NameArgument = Annotated[str, typer.Argument(help="Tenant, such as north-hospital.")]

RejectedOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        show_default=str(DEFAULT.rejected_days),
        help="Days until rejected files go; intake keeps them for less.",
    ),
]
OldVersionOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        show_default=str(DEFAULT.old_version_days),
        help="Days that deleted and replaced objects can be had back.",
    ),
]
UnfinishedOption = Annotated[
    int | None,
    typer.Option(
        min=1, show_default=str(DEFAULT.unfinished_days), help="Days until uploads go that were begun and never ended."
    ),
]


@app.command()
def add(
    name: NameArgument,
    rejected_days: RejectedOption = None,
    old_version_days: OldVersionOption = None,
    unfinished_days: UnfinishedOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Make a tenant's bucket, or mend its settings, and say what was changed.

    Exits with 0 where all is as it should be now, 1 where the server does not offer a setting, and 2 where it could
    not be done.
    """
    with _buckets(home) as buckets:
        before, after = buckets.add(name, Retention(rejected_days, old_version_days, unfinished_days))
    changes = _changes(before, after)
    for change in changes or ["nothing to change"]:
        _out.print(f"{name}: {change}")
    missing = [what for what, state in _settings(after).items() if state is not State.ON]
    for what in missing:
        _out.print(f"{name}: NOT SET: the server does not offer {what}")
    raise typer.Exit(NOT_AS_WANTED if missing else 0)


@app.command("list")
def list_tenants(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002  # typer's way to declare a flag
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """List tenants, their settings, and whether they are as they should be.

    Exits with 0 where all of them are, 1 where one is not, and 2 where it could not be found out.
    """
    with _buckets(home) as buckets:
        found = buckets.all()
    if as_json:
        typer.echo(json.dumps([_document(each) for each in found], indent=2))
    elif not found:
        _out.print("No tenants.")
    else:
        _print_table(found)
    raise typer.Exit(0 if all(each.is_as_wanted for each in found) else NOT_AS_WANTED)


@app.command()
def remove(
    name: NameArgument,
    erase: Annotated[bool, typer.Option("--erase", help="Also everything that is stored, with all versions.")] = False,  # noqa: FBT002  # typer's way to declare a flag
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Remove a tenant's bucket, if nothing is in it. What is in databases and streams stays.

    Exits with 0 where it is gone, 1 where it holds something and stays, and 2 where it could not be done.
    """
    with _buckets(home) as buckets:
        try:
            erased = buckets.remove(name, erase=erase)
        except NotEmpty as error:
            _error.print(f"radrelay: {name} has objects, or old versions of some: nothing was removed; see --erase")
            raise typer.Exit(NOT_AS_WANTED) from error
    _out.print(f"{name}: bucket removed" + (f", with {erased} objects, every version counted" if erased else ""))


@contextmanager
def _buckets(home: Path) -> Iterator[TenantBuckets]:
    """The store's tenants; whatever keeps us from an answer is a message and a status of its own."""
    try:
        with TenantBuckets(stores.settings(home)) as buckets:
            yield buckets
    except (StackError, NoBucketName) as error:
        message = str(error)
    except NotProvisioned as error:
        message = f"there is no tenant {error}"
    except NotErased as error:
        message = f"not everything could be removed: {error}"
    except S3Error as error:
        message = f"the store refuses: {error.code}: {error.message}"
    except OUTAGES as error:
        message = f"the store cannot be reached: {error}"
    else:
        return
    _error.print(f"radrelay: {message}")
    raise typer.Exit(UNKNOWN)


def _settings(bucket: TenantBucket) -> dict[str, State]:
    return {"versioning": bucket.versioning, "encryption": bucket.encryption, "lifecycle": bucket.lifecycle}


def _changes(before: TenantBucket | None, after: TenantBucket) -> list[str]:
    changes = [] if before else [f"bucket {after.bucket} made"]
    earlier = _settings(before) if before else {}
    on = [what for what, state in _settings(after).items() if state is State.ON]
    changes += [f"{what} on" for what in on if earlier.get(what) is not State.ON]
    times = asdict(before.retention) if before else {}
    changes += [
        f"{what.replace('_', ' ')}: {days}" + (f", was {times[what]}" if times.get(what) else "")
        for what, days in asdict(after.retention).items()
        if days is not None and days != times.get(what)
    ]
    return changes


def _document(bucket: TenantBucket) -> dict[str, Any]:
    return {**asdict(bucket), "is_as_wanted": bucket.is_as_wanted}


def _print_table(found: list[TenantBucket]) -> None:
    table = Table(
        *("tenant", "bucket", "versioning", "encryption", "lifecycle"),
        *("rejected days", "old version days", "unfinished days", "as wanted"),
        box=None,
    )
    for each in found:
        days = [str(value or "") for value in asdict(each.retention).values()]
        table.add_row(each.tenant, each.bucket, *_settings(each).values(), *days, "yes" if each.is_as_wanted else "NO")
    _out.print(table)
