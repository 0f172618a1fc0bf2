"""The training's mechanics, with a network that takes no time."""

from pathlib import Path

import numpy as np
import pytest
import torch

from radrelay_training import bundling
from radrelay_training.data import load_cases
from radrelay_training.network import new_network
from radrelay_training.plan import DEMONSTRATION, Plan, Split, Stage
from radrelay_training.scoring import score
from radrelay_training.train import EpochResult, predict, train

TINY = Plan(
    seed=1,
    stages=(Stage(size_px=32, images=32, epochs=2, batch=8, peak_learning_rate=1e-3),),
    train=Split("train", 10, 32),
    validation=Split("validation", 100, 12),
    calibration=Split("calibration", 200, 12),
    test=Split("test", 300, 12),
    phantom_px=64,
    timm_name="test_efficientnet",
)


class Recorder:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int, int]] = []
        self.epochs: list[EpochResult] = []

    def step(self, stage: int, epoch: int, images: int) -> None:
        self.steps.append((stage, epoch, images))

    def epoch(self, result: EpochResult) -> None:
        self.epochs.append(result)


class Interrupted(Exception):
    """The training was stopped from outside."""


class Interrupting(Recorder):
    """Stops the training after its first epoch."""

    def epoch(self, result: EpochResult) -> None:
        raise Interrupted


def test_no_two_splits_of_the_demonstration_share_a_seed() -> None:
    plan = DEMONSTRATION
    seeds = [
        set(range(split.first_seed, split.first_seed + split.count))
        for split in (plan.train, plan.validation, plan.calibration, plan.test)
    ]
    assert len(set.union(*seeds)) == sum(map(len, seeds))


def test_cases_are_kept_and_have_a_mask_just_where_they_are_positive(tmp_path: Path) -> None:
    drawn = load_cases(TINY, TINY.train, 32, tmp_path)
    kept = load_cases(TINY, TINY.train, 32, tmp_path)
    assert np.array_equal(drawn.images_ncyx, kept.images_ncyx)
    assert drawn.images_ncyx.shape == (32, 3, 32, 32)
    assert 0 < drawn.labels_n.sum() < 32
    assert not kept.masks_nyx[~kept.labels_n].any()


def test_a_training_that_was_interrupted_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole, resumed = Recorder(), Recorder()
    uninterrupted = train(TINY, tmp_path / "a", whole)
    with pytest.raises(Interrupted):
        train(TINY, tmp_path / "b", Interrupting())
    model = train(TINY, tmp_path / "b", resumed)
    assert [(result.stage, result.epoch) for result in whole.epochs] == [(0, 0), (0, 1)]
    assert [(result.stage, result.epoch) for result in resumed.epochs] == [(0, 1)]
    for name, tensor in uninterrupted.state_dict().items():
        assert torch.allclose(tensor, model.state_dict()[name]), name


def test_progress_is_told_batch_by_batch(tmp_path: Path) -> None:
    progress = Recorder()
    train(TINY, tmp_path, progress)
    assert progress.steps == [(0, epoch, images) for epoch in (0, 1) for images in (8, 16, 24, 32)]


def test_residual_blocks_start_as_the_identity() -> None:
    model = new_network("efficientnet_b0", 3, 0)
    skipping = [block for block in model.modules() if getattr(block, "has_skip", False) and hasattr(block, "bn3")]
    assert skipping
    assert all(not block.bn3.weight.any() for block in skipping)  # type: ignore[union-attr, operator]  # a normalisation


def test_the_bundle_scores_as_the_network_did(tmp_path: Path) -> None:
    model = train(TINY, tmp_path / "work", Recorder())
    bundle = bundling.write(TINY, model, tmp_path / "bundle")
    cases = load_cases(TINY, TINY.test, 32, tmp_path / "work")
    assert np.allclose(score(bundle, cases).logits_n, predict(model, cases.images_ncyx), atol=0.02)
    assert "not for clinical use" in bundle.manifest.label
