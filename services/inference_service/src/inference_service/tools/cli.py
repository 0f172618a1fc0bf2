"""The `radrelay-bundle` command."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from inference_service.bundles import BundleError, load_bundle
from inference_service.engine.screening import ScreeningEngine
from inference_service.tools.card import HTML_FILE, MARKDOWN_FILE, write_card
from inference_service.tools.cases import read_cases
from inference_service.tools.describing import describe, describe_evaluation
from inference_service.tools.errors import ToolError
from inference_service.tools.evaluation import evaluate_cases
from inference_service.tools.fitting import fit_calibration
from inference_service.tools.making import build_bundle, write_calibrated, write_with_reference
from inference_service.tools.reference import make_reference
from inference_service.tools.replay import describe_replay, fetch_report, replay_report
from inference_service.tools.schema import manifest_schema

app = typer.Typer(
    help="Make, calibrate, evaluate, check and describe model bundles.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

BundleArgument = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder of the bundle.")]
StateArgument = Annotated[
    Path, typer.Argument(metavar="STATE", help="State dict of a timm network: safetensors, or torch.save's file.")
]
ManifestOption = Annotated[
    Path, typer.Option("--manifest", metavar="YAML", help="What bundle.yaml is to say, without weights.")
]
CasesOption = Annotated[
    Path,
    typer.Option(
        "--cases", metavar="FILE", help="CSV or Parquet: logit (of this bundle's network), label (0 or 1) and more."
    ),
]
ExamplesOption = Annotated[
    Path | None,
    typer.Option("--examples", metavar="DIR", help="PNG pictures, and examples.csv with the columns file and caption."),
]
CardOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the card.")]
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the new bundle.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, with every digit.")]


@app.command()
def info(bundle: BundleArgument) -> None:
    """Print what a bundle is, after verifying its digests."""
    with _said_plainly():
        typer.echo(describe(load_bundle(bundle)))


@app.command()
def validate(bundle: BundleArgument) -> None:
    """Do with a bundle what the model server does at its start, one empty image included."""
    with _said_plainly():
        loaded = load_bundle(bundle)
        ScreeningEngine.from_bundle(loaded, device="cpu").warm_up(loaded, max_batch_size=1)
    typer.echo(describe(loaded))
    typer.echo("valid")


@app.command()
def build(state: StateArgument, manifest: ManifestOption, out: OutOption) -> None:
    """Make a bundle of a trained timm network and a description of it."""
    with _said_plainly():
        made = build_bundle(state, manifest, out)
    typer.echo(describe(made))


@app.command()
def calibrate(bundle: BundleArgument, cases: CasesOption, out: OutOption) -> None:
    """Write the bundle anew with a temperature and an isotonic map fitted to CASES.

    Take cases that the model was not trained on, and that no evaluation will use.
    """
    with _said_plainly():
        made = write_calibrated(load_bundle(bundle), fit_calibration(read_cases(cases)), out)
    typer.echo(describe(made))


@app.command()
def evaluate(bundle: BundleArgument, cases: CasesOption, *, as_json: JsonOption = False) -> None:
    """Print how well a bundle's probabilities tell CASES apart and how far they can be read as frequencies."""
    with _said_plainly():
        loaded = load_bundle(bundle)
        manifest = loaded.manifest
        evaluation = evaluate_cases(manifest, read_cases(cases))
    if as_json:
        named = {"digest": loaded.digest, "label": manifest.label, "intended_use": manifest.intended_use}
        typer.echo(json.dumps(named | asdict(evaluation), indent=2))
    else:
        typer.echo(describe_evaluation(manifest, evaluation))


@app.command()
def reference(bundle: BundleArgument, cases: CasesOption, out: OutOption) -> None:
    """Write the bundle anew with what CASES look like to it, for telling drift later.

    Take cases of the intended use, in the mix in which they come, that the model was not trained on. The calibration
    comes first: another one drops the reference.
    """
    with _said_plainly():
        loaded = load_bundle(bundle)
        made = write_with_reference(loaded, make_reference(loaded.manifest, read_cases(cases)), out)
    typer.echo(describe(made))


@app.command()
def card(bundle: BundleArgument, cases: CasesOption, out: CardOption, examples: ExamplesOption = None) -> None:
    """Write a model card with its figures, as card.html and card.md, of an evaluation on CASES."""
    with _said_plainly():
        write_card(load_bundle(bundle), cases, out, examples=examples)
    for name in (HTML_FILE, MARKDOWN_FILE):
        typer.echo(str(out / name))


@app.command()
def replay(
    report_id: Annotated[UUID, typer.Argument(metavar="REPORT_ID", help="Of a report that the token may read.")],
    bundle: Annotated[Path, typer.Option("--bundle", metavar="BUNDLE", help="Folder of the bundle that made it.")],
    reports_url: Annotated[
        str, typer.Option("--reports", metavar="URL", help="The report service, such as https://host/api/reports.")
    ],
    token: Annotated[str, typer.Option("--token", metavar="TOKEN", help="Bearer token.", envvar="RADRELAY_TOKEN")],
) -> None:
    """Compute a report again from the stored image, on the runtime it names; exits with 2 where the result differs."""
    with _said_plainly():
        reported = fetch_report(report_id, reports_url=reports_url, token=token)
        again = replay_report(reported, load_bundle(bundle))
    typer.echo(describe_replay(again))
    if not again.identical:
        raise typer.Exit(2)


@app.command()
def schema() -> None:
    """Print the JSON Schema of bundle.yaml."""
    typer.echo(manifest_schema())


@contextmanager
def _said_plainly() -> Iterator[None]:
    try:
        yield
    except (BundleError, ToolError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
