"""The `radrelay` command: the embedded stack and the demo on one machine, and a client of any Radrelay."""

import logging
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from radrelay_local import deadletters
from radrelay_local import logs as log_files
from radrelay_local.audit import commands as audit
from radrelay_local.backup import commands as backups
from radrelay_local.control import Condition
from radrelay_local.errors import StackError
from radrelay_local.home import Home
from radrelay_local.options import DEFAULT_HOME, HomeOption
from radrelay_local.stack import DEMONSTRATION_BUNDLE, RunningStack
from radrelay_local.tenants import commands as tenants
from radrelay_local.upload import commands as upload_commands

app = typer.Typer(
    help="Radrelay on this machine, and a client of one anywhere: not for clinical use.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
dashboard = typer.Typer(help="What the dashboard counts.", no_args_is_help=True)
app.add_typer(audit.app, name="audit")
app.add_typer(dashboard, name="dashboard")
app.add_typer(deadletters.app, name="deadletters")
app.add_typer(tenants.app, name="tenants")
upload_commands.add_to(app)
backups.add_to(app)
_out = Console(highlight=False, soft_wrap=True)

BundleOption = Annotated[
    Path, typer.Option("--bundle", envvar="RADRELAY_BUNDLE", help="Folder of the model bundle to serve.")
]

OtlpOption = Annotated[
    str | None,
    typer.Option(
        "--otlp-endpoint",
        envvar="RADRELAY_OTLP_ENDPOINT",
        help="Where services send their spans, such as http://127.0.0.1:4318.",
    ),
]


@app.command()
def up(
    home: HomeOption = DEFAULT_HOME, bundle: BundleOption = DEMONSTRATION_BUNDLE, otlp_endpoint: OtlpOption = None
) -> None:
    """Start whatever does not run, wait until all is ready, and print the addresses."""
    stack = RunningStack(home, bundle=bundle, otlp_endpoint=otlp_endpoint)
    _bring_up(stack)
    _print_addresses(stack)
    _out.print("[bold]Tokens come from a development issuer that asks for no password. Not for clinical use.[/bold]")


@app.command()
def down(home: HomeOption = DEFAULT_HOME) -> None:
    """Stop everything; the data stays."""
    started = time.monotonic()
    with _out.status("Stopping the stack ..."):
        RunningStack(home).down()
    _out.print(f"Down in {time.monotonic() - started:.1f} s.")


@app.command()
def status(home: HomeOption = DEFAULT_HOME) -> None:
    """Show how every process is; exits with 1 unless all are ready."""
    processes = RunningStack(home).status()
    table = Table("process", "state", "pid", "up for", "address", box=None)
    for each in processes:
        colour = {Condition.READY: "green", Condition.NOT_READY: "yellow", Condition.STOPPED: "red"}[each.condition]
        up_for = f"{time.time() - each.started_at:.0f} s" if each.started_at else ""
        table.add_row(each.name, f"[{colour}]{each.condition}[/]", str(each.pid or ""), up_for, each.address)
    _out.print(table)
    raise typer.Exit(0 if all(each.condition is Condition.READY for each in processes) else 1)


@app.command()
def logs(
    name: Annotated[str | None, typer.Argument(help="A process; all of them otherwise.")] = None,
    home: HomeOption = DEFAULT_HOME,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,  # noqa: FBT002  # typer's way to declare a flag
) -> None:
    """Print the last lines of the logs."""
    for line in log_files.lines(Home(home), name, follow=follow):
        typer.echo(line)


@app.command()
def token(
    tenant: Annotated[str, typer.Option(help="Tenant, such as north-hospital.")],
    user: Annotated[str, typer.Option(help="Who the token is for; owner of what they upload.")],
    role: Annotated[list[str], typer.Option(help="clinician, tenant_admin or service; may be repeated.")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Print a bearer token of the development issuer."""
    typer.echo(RunningStack(home).issue_token(tenant, user, role))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def reconcile(context: typer.Context, home: HomeOption = DEFAULT_HOME) -> None:
    """Find, and with --mend mend, objects without a row and rows without their object; --help says more.

    Exits with 0 where all is in order or mended, 1 where something is left, and 2 where it could not be found out.
    """
    _end_as(RunningStack(home).reconcile, context.args)


@dashboard.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def rebuild(context: typer.Context, home: HomeOption = DEFAULT_HOME) -> None:
    """Make the dashboard's figures anew from the streams, while all stays up; --help says more.

    Exits with 0 where it is done, and 2 where it could not be.
    """
    _end_as(RunningStack(home).rebuild_dashboard, context.args)


@app.command()
def demo(
    home: HomeOption = DEFAULT_HOME,
    bundle: BundleOption = DEMONSTRATION_BUNDLE,
    once: Annotated[bool, typer.Option("--once", help="End when the demo has run.")] = False,  # noqa: FBT002  # typer's way to declare a flag
    dicom: Annotated[Path | None, typer.Option(help="Your own folder or ZIP of DICOM files.", exists=True)] = None,
    out: Annotated[Path, typer.Option(help="Where the summary and the pictures go.")] = Path("build/demo"),
) -> None:
    """Send DICOM files through the stack and show what comes back. Stops the stack at the end if it started it."""
    stack = RunningStack(home, bundle=bundle)
    was_running = stack.is_running()
    _bring_up(stack)
    try:
        # Its libraries for images come with the embedded servers, and take longer to import than other commands to run.
        from radrelay_local.demo import run  # noqa: PLC0415

        status = run(stack, once=once, dicom=dicom, out=out)
    finally:
        if not was_running:
            stack.down()
    raise typer.Exit(status)


def main() -> None:
    """Run the command; a StackError becomes a message and exit status 1."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    # As Ctrl-C does: whatever was being started is stopped before we end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        app()
    except StackError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]radrelay:[/red] {error}", markup=True)
        raise SystemExit(1) from error


def _bring_up(stack: RunningStack) -> None:
    """Start what does not run, and say how long that took."""
    started = time.monotonic()
    _out.print("Starting the stack: NATS, S3, PostgreSQL, the services and the model server ...")
    with _out.status("waiting for all of it to be ready"):
        stack.up()
    _out.print(f"Up in {time.monotonic() - started:.1f} s. Data and logs are in {stack.home}.")


def _end_as(tool: Callable[[list[str]], int], options: list[str]) -> NoReturn:
    """End with the exit status of a tool that takes these options, or with 2 where it cannot be run."""
    try:
        status = tool(options)
    except StackError as error:
        Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(f"radrelay: {error}")
        status = 2
    raise typer.Exit(status)


def _print_addresses(stack: RunningStack) -> None:
    table = Table("what", "address", box=None)
    for what, address in stack.addresses().items():
        table.add_row(what, address)
    _out.print(table)


if __name__ == "__main__":
    main()
