"""`python -m radrelay_training`: make the demonstration bundle and its card, or go on where an earlier run stopped.

About two hours on 2 cores: it draws synthetic head CTs, trains an EfficientNet-B4 on them from scratch, calibrates it
on a second split and evaluates it on a third.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from inference_service.tools.describing import describe_evaluation
from radrelay_training.demonstration import finish
from radrelay_training.plan import DEMONSTRATION, Plan
from radrelay_training.train import EpochResult, train

_INTERRUPTED = 128 + signal.SIGINT
"""What a shell gives for a command that Ctrl-C ended."""


class Screen:
    """Shows how far the training is: a bar for the epoch, and a line for each that is done."""

    def __init__(self, plan: Plan, console: Console) -> None:
        self._plan = plan
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=console, transient=True)
        self._task = self.bar.add_task("drawing phantoms", total=None)

    def step(self, stage: int, epoch: int, images: int) -> None:
        """Move the bar."""
        of = self._plan.stages[stage]
        name = f"stage {stage + 1} of {len(self._plan.stages)}, epoch {epoch + 1} of {of.epochs}, images"
        self.bar.update(self._task, description=name, completed=images, total=of.images)

    def epoch(self, result: EpochResult) -> None:
        """Print what the epoch gave."""
        self.bar.console.print(
            f"stage {result.stage + 1} of {len(self._plan.stages)} ({result.size_px} px), epoch {result.epoch + 1} of"
            f" {self._plan.stages[result.stage].epochs}: loss {result.loss:.3f}, validation AUROC"
            f" {result.validation_auroc:.3f}, {result.seconds:.0f} s"
        )


def main() -> None:
    """Train, calibrate, evaluate, and write the bundle and its card."""
    parser = argparse.ArgumentParser(prog="python -m radrelay_training", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="checkpoints and drawn phantoms")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/head-ct-haemorrhage"), help="the bundle")
    parser.add_argument("--card", type=Path, default=Path("docs/model-card"), help="its card, and the cases behind it")
    options = parser.parse_args()
    console = Console(highlight=False)
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        _make(DEMONSTRATION, console, options.work, bundle_dir=options.bundle, card_dir=options.card)
    except KeyboardInterrupt:
        console.print("Stopped. The same command goes on after the last whole epoch.")
        sys.exit(_INTERRUPTED)


def _make(plan: Plan, console: Console, work: Path, *, bundle_dir: Path, card_dir: Path) -> None:
    folder = work / plan.fingerprint()
    console.print(f"Training {plan.timm_name} on synthetic phantoms; what is done is kept in {folder}.")
    screen = Screen(plan, console)
    with screen.bar:
        model = train(plan, folder, screen)
    with console.status("Scoring, calibrating and evaluating ..."):
        made = finish(plan, model, folder, bundle_dir=bundle_dir, card_dir=card_dir)
    console.print(f"Wrote {made.bundle.directory}, {made.bundle.digest}, and its card in {card_dir}.")
    console.print(describe_evaluation(made.bundle.manifest, made.evaluation))


if __name__ == "__main__":
    main()
