"""The committed bundle is what its card says: the figures follow from the cases, and the cases from the network."""

import csv
from io import BytesIO
from pathlib import Path

import pytest

from inference_service.bundles import Bundle, load_bundle
from inference_service.engine.screening import ImageScore, ScreeningEngine
from inference_service.imaging import prepare_frames
from inference_service.tools.cases import read_cases
from inference_service.tools.evaluation import Evaluation, evaluate_cases
from radrelay_phantoms import sample
from radrelay_phantoms.dicom import write_dicom
from radrelay_training.plan import DEMONSTRATION as PLAN

ROOT = Path(__file__).parents[3]
BUNDLE = ROOT / "bundles" / "head-ct-haemorrhage"
CARD = ROOT / "docs" / "model-card"
LARGEST_FILE_BYTES = 40_000_000


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(BUNDLE)


@pytest.fixture(scope="module")
def evaluation(bundle: Bundle) -> Evaluation:
    return evaluate_cases(bundle.manifest, read_cases(CARD / "test.csv"))


def test_it_is_small_calibrated_and_says_what_it_is(bundle: Bundle) -> None:
    assert (BUNDLE / "weights.safetensors").stat().st_size < LARGEST_FILE_BYTES
    assert bundle.manifest.architecture.timm_name == "efficientnet_b4"
    assert bundle.manifest.label == "trained on synthetic phantoms, for demonstration, not for clinical use"
    assert "Not for clinical use" in bundle.manifest.intended_use
    assert bundle.manifest.calibration.isotonic is not None
    assert bundle.manifest.reference is not None


@pytest.mark.parametrize("name", ["card.html", "card.md"])
def test_the_card_is_of_this_bundle(bundle: Bundle, name: str) -> None:
    card = (CARD / name).read_text()
    assert bundle.digest in card
    assert bundle.manifest.label in card


def test_the_cases_are_the_test_split_of_the_plan(evaluation: Evaluation) -> None:
    with (CARD / "test.csv").open(newline="") as file:
        seeds = [int(row["seed"]) for row in csv.DictReader(file)]
    assert seeds == list(range(PLAN.test.first_seed, PLAN.test.first_seed + PLAN.test.count))
    assert evaluation.cases == PLAN.test.count


def test_the_figures_are_what_was_asked_for(evaluation: Evaluation) -> None:
    assert evaluation.auroc.value >= 0.95
    assert evaluation.after_calibration.ece <= 0.03
    assert evaluation.after_calibration.ece < evaluation.before_calibration.ece
    assert evaluation.explanation is not None
    assert evaluation.explanation.hit_rate is not None
    assert evaluation.explanation.hit_rate.estimate.value >= 0.85


def test_the_network_gives_the_scores_that_the_card_was_made_of(bundle: Bundle) -> None:
    """A few of the four thousand; another processor may round the last digits in another way."""
    with (CARD / "test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[:8]
    engine = ScreeningEngine.from_bundle(bundle, device="cpu", runtime="torch")
    for row in rows:
        stream = BytesIO()
        phantom = sample(int(row["seed"]), prevalence=PLAN.prevalence, difficulty=PLAN.difficulty, size=PLAN.phantom_px)
        write_dicom(phantom, stream)
        (frame,) = prepare_frames(stream.getvalue(), bundle.manifest.image)
        (score,) = engine.screen([frame.image_cyx])
        assert isinstance(score, ImageScore)
        assert score.logit == pytest.approx(float(row["logit"]), abs=0.01)
        assert int(row["label"]) == (phantom.kind is not None)
