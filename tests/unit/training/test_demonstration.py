"""From a network to the bundle, its card and the cases behind it, with a network that takes no time."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import CTImageStorage, MRImageStorage

from inference_service.bundles import load_bundle
from inference_service.engine.screening import ScreeningEngine
from inference_service.tools.cases import read_cases
from radrelay_phantoms import HaemorrhageKind
from radrelay_training import bundling
from radrelay_training.data import load_cases
from radrelay_training.demonstration import CASES_FILE, Demonstration, finish
from radrelay_training.network import new_network
from radrelay_training.plan import Plan, Split, Stage
from radrelay_training.scoring import Scores, write_cases

PLAN = Plan(
    seed=1,
    stages=(Stage(size_px=32, images=32, epochs=1, batch=8, peak_learning_rate=1e-3),),
    train=Split("train", 10, 32),
    validation=Split("validation", 100, 12),
    calibration=Split("calibration", 1000, 160),
    test=Split("test", 2000, 160),
    phantom_px=64,
    timm_name="test_efficientnet",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demonstration")


@pytest.fixture(scope="module")
def made(folder: Path) -> Demonstration:
    """Of a network whose one logit follows the brain window's mean level, since training one takes long."""
    model = new_network(PLAN.timm_name, 3, 0)
    bundle = bundling.write(PLAN, model, folder / "look")
    cases = load_cases(PLAN, PLAN.calibration, 32, folder)
    engine = ScreeningEngine.from_bundle(bundle, device="cpu")
    logits_n = np.array([score.logit for score in engine.screen(list(cases.images_ncyx))])  # type: ignore[union-attr]  # no fault here
    if np.corrcoef(logits_n, cases.labels_n)[0, 1] < 0:  # a calibration wants logits that rise with the label
        for parameter in model.get_classifier().parameters():  # type: ignore[operator]  # timm's
            parameter.data.neg_()
    return finish(PLAN, model.eval(), folder, bundle_dir=folder / "bundle", card_dir=folder / "card")


def test_the_bundle_is_calibrated_and_has_a_reference(made: Demonstration, folder: Path) -> None:
    bundle = load_bundle(folder / "bundle")
    assert bundle.digest == made.bundle.digest
    assert bundle.manifest.calibration.isotonic is not None
    assert bundle.manifest.reference is not None
    assert (bundle.manifest.reference.cases, len(bundle.manifest.reference.levels or ())) == (160, 3)


def test_the_bundle_takes_head_ct_and_nothing_else(made: Demonstration) -> None:
    accepts = made.bundle.manifest.image.accepts
    head_ct = {"modality": "CT", "sop_class_uid": CTImageStorage, "body_part": "HEAD"}
    assert accepts.refusal(**head_ct) is None
    for other in ({"modality": "MR"}, {"sop_class_uid": MRImageStorage}, {"body_part": "CHEST"}, {"body_part": None}):
        assert accepts.refusal(**head_ct | other) is not None


def test_the_card_repeats_what_the_bundle_is_for_and_shows_examples(made: Demonstration, folder: Path) -> None:
    card = (folder / "card" / "card.md").read_text()
    assert made.bundle.digest in card
    assert "trained on synthetic phantoms, for demonstration, not for clinical use" in card
    assert "rightly negative" in card or "false alarm" in card
    assert list((folder / "card").glob("*.png"))


def test_the_cases_behind_the_card_are_there_to_be_evaluated_again(made: Demonstration, folder: Path) -> None:
    cases = read_cases(folder / "card" / CASES_FILE)
    assert len(cases.labels_n) == 160 == made.evaluation.cases
    assert cases.levels_nc is not None
    assert cases.levels_nc.shape == (160, 3)
    assert cases.groups_n is not None
    assert set(cases.groups_n[cases.labels_n].tolist()) <= set(HaemorrhageKind)
    assert set(cases.groups_n[~cases.labels_n].tolist()) == {""}


def test_heat_is_told_of_true_positives_only(tmp_path: Path) -> None:
    plan = replace(PLAN, test=Split("test", 2000, 24))
    cases = load_cases(plan, plan.test, 32, tmp_path)
    probabilities_n = np.where(np.arange(24) % 2 == 0, 0.9, 0.1)
    cams_nyx = np.ones((24, 4, 4), np.float32)
    write_cases(
        tmp_path / "cases.csv",
        plan,
        plan.test,
        cases,
        Scores(np.linspace(-1, 1, 24), probabilities_n, cams_nyx),
        threshold=0.5,
    )
    with (tmp_path / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for index, row in enumerate(rows):
        found = bool(cases.labels_n[index]) and index % 2 == 0
        assert (row["heat_hit"] != "", row["heat_inside"] != "") == (found, found)
        assert float(row["logit"]) == np.linspace(-1, 1, 24)[index]
        assert int(row["seed"]) == 2000 + index
