"""The training itself: seeded, checkpointed after every epoch, and taken up again where it stopped."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from radrelay_training.data import Cases, load_cases
from radrelay_training.network import new_network, normalized
from radrelay_training.plan import CHANNEL_MEAN, CHANNEL_STD, WINDOWS, Plan, Stage

_CLIP_NORM = 1.0
_WEIGHT_DECAY = 0.02
_EVALUATION_BATCH = 32
_CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class EpochResult:
    """What one epoch gave."""

    stage: int
    epoch: int
    size_px: int
    loss: float
    validation_auroc: float
    seconds: float


class Progress(Protocol):
    """Who is told how far the training is."""

    def step(self, stage: int, epoch: int, images: int) -> None:
        """So many images of an epoch are done."""

    def epoch(self, result: EpochResult) -> None:
        """An epoch is done and its checkpoint written."""


def train(plan: Plan, folder: Path, progress: Progress) -> nn.Module:
    """Train by `plan`, keeping checkpoints and data in `folder`, and return the network in evaluation mode.

    A training that was interrupted goes on after its last whole epoch.
    """
    model = new_network(plan.timm_name, WINDOWS.count, plan.seed)
    done = _Done.read(folder / _CHECKPOINT)
    if done is not None:
        model.load_state_dict(done.model)
    for number, stage in enumerate(plan.stages):
        if done is not None and done.stage > number:
            continue
        _run_stage(model, plan, (number, stage), folder, progress, done)
        done = None
    return model.eval()


@dataclass(frozen=True, slots=True)
class _Done:
    """A checkpoint: the state after an epoch."""

    stage: int
    epoch: int
    model: dict[str, Any]
    optimizer: dict[str, Any]
    schedule: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> "_Done | None":
        if not path.is_file():
            return None
        return cls(**torch.load(path, weights_only=True))

    def write(self, path: Path) -> None:
        scratch = path.with_suffix(".part")
        torch.save({name: getattr(self, name) for name in self.__slots__}, scratch)
        scratch.rename(path)


def _run_stage(
    model: nn.Module, plan: Plan, stage_at: tuple[int, Stage], folder: Path, progress: Progress, done: _Done | None
) -> None:
    number, stage = stage_at
    cases = load_cases(plan, plan.train, stage.size_px, folder)
    validation = load_cases(plan, plan.validation, stage.size_px, folder)
    steps = stage.images // stage.batch
    optimizer = torch.optim.AdamW(_groups(model), lr=stage.peak_learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, stage.peak_learning_rate, total_steps=steps * stage.epochs, pct_start=0.25
    )
    first = 0
    if done is not None:
        optimizer.load_state_dict(done.optimizer)
        schedule.load_state_dict(done.schedule)
        first = done.epoch + 1
    for epoch in range(first, stage.epochs):
        started = time.perf_counter()
        generator = np.random.default_rng((plan.seed, number, epoch))
        losses = []
        for loss in _run_epoch(model, _batches(cases, stage, generator), optimizer, schedule):
            losses.append(loss)
            progress.step(number, epoch, len(losses) * stage.batch)
        logits_n = predict(model, validation.images_ncyx)
        auroc = float(roc_auc_score(validation.labels_n, logits_n))
        state = _Done(number, epoch, model.state_dict(), optimizer.state_dict(), schedule.state_dict())
        state.write(folder / _CHECKPOINT)
        seconds = time.perf_counter() - started
        progress.epoch(EpochResult(number, epoch, stage.size_px, float(np.mean(losses)), auroc, seconds))


def _groups(model: nn.Module) -> list[dict[str, Any]]:
    """Weights decay; biases and normalisations do not."""
    decaying = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": decaying, "weight_decay": _WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]


def _batches(cases: Cases, stage: Stage, generator: np.random.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Shuffled batches, each image mirrored left to right half of the time: a head is nearly symmetric."""
    order = generator.permutation(len(cases))[: stage.images // stage.batch * stage.batch]
    for chosen in order.reshape(-1, stage.batch):
        images_ncyx = cases.images_ncyx[np.sort(chosen)]
        labels_n = cases.labels_n[np.sort(chosen)]
        mirrored = generator.random(len(chosen)) < 0.5
        images_ncyx[mirrored] = images_ncyx[mirrored, :, :, ::-1]
        yield torch.from_numpy(images_ncyx), torch.from_numpy(labels_n.astype(np.float32))


def _run_epoch(
    model: nn.Module,
    batches: Iterator[tuple[torch.Tensor, torch.Tensor]],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> Iterator[float]:
    """The loss of each batch, after the step that it led to."""
    model.train()
    for images_ncyx, labels_n in batches:
        inputs = normalized(images_ncyx, CHANNEL_MEAN, CHANNEL_STD)
        loss = binary_cross_entropy_with_logits(model(inputs)[:, 0], labels_n)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(model.parameters(), _CLIP_NORM)
        optimizer.step()
        schedule.step()
        yield loss.item()


def predict(model: nn.Module, images_ncyx: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Logits (n,) in evaluation mode."""
    model.eval()
    logits = []
    with torch.inference_mode():
        for start in range(0, len(images_ncyx), _EVALUATION_BATCH):
            batch = torch.from_numpy(images_ncyx[start : start + _EVALUATION_BATCH])
            inputs = normalized(batch, CHANNEL_MEAN, CHANNEL_STD)
            logits.append(model(inputs)[:, 0].double().numpy())
    return np.concatenate(logits)
