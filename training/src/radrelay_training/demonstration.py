"""The demonstration bundle from nothing: trained, calibrated, described by a reference and by its card."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from inference_service.bundles import Bundle
from inference_service.tools.card import write_card
from inference_service.tools.cases import read_cases
from inference_service.tools.evaluation import Evaluation, evaluate_cases
from inference_service.tools.fitting import fit_calibration
from inference_service.tools.making import write_calibrated, write_with_reference
from inference_service.tools.reference import make_reference
from radrelay_training import bundling
from radrelay_training.data import load_cases
from radrelay_training.examples import write_examples
from radrelay_training.plan import Plan, Split
from radrelay_training.scoring import Scores, score, write_cases

CASES_FILE = "test.csv"


@dataclass(frozen=True, slots=True)
class Demonstration:
    """What came of it."""

    bundle: Bundle
    evaluation: Evaluation
    """On the test split, which neither training nor calibration saw."""


def finish(plan: Plan, model: nn.Module, folder: Path, *, bundle_dir: Path, card_dir: Path) -> Demonstration:
    """Turn the trained network into the bundle and its card.

    The calibration is fitted on the second split; the third is evaluated on, and is the reference for drift.

    Args:
        plan: that the network was trained by.
        model: in evaluation mode.
        folder: of drawn phantoms and intermediate bundles.
        bundle_dir: replaced by the bundle.
        card_dir: gets the card, and the cases behind its figures as `test.csv`.
    """
    raw = bundling.write(plan, model, folder / "raw")
    calibration_csv = folder / "calibration.csv"
    _score_split(raw, plan, plan.calibration, folder, calibration_csv)
    calibrated = write_calibrated(raw, fit_calibration(read_cases(calibration_csv)), folder / "calibrated")

    card_dir.mkdir(parents=True, exist_ok=True)
    test_csv = card_dir / CASES_FILE
    scores = _score_split(calibrated, plan, plan.test, folder, test_csv)
    measured = read_cases(test_csv)
    bundle = write_with_reference(calibrated, make_reference(calibrated.manifest, measured), bundle_dir)
    called_n = scores.probabilities_n >= bundle.manifest.thresholds.positive
    write_examples(folder / "examples", bundle, plan, plan.test, measured.labels_n, called_n)
    write_card(bundle, test_csv, card_dir, examples=folder / "examples")
    return Demonstration(bundle, evaluate_cases(bundle.manifest, measured))


def _score_split(bundle: Bundle, plan: Plan, split: Split, folder: Path, path: Path) -> Scores:
    cases = load_cases(plan, split, plan.served_px, folder)
    scores = score(bundle, cases)
    write_cases(path, plan, split, cases, scores, threshold=bundle.manifest.thresholds.positive)
    return scores
