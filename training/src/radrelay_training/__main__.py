"""`python -m radrelay_training`: train the demonstration network and write its bundle, not calibrated yet.

Beside the bundle it writes `calibration.csv` and `test.csv` (`logit,label` a line) and prints how well the network
tells haemorrhages apart and where its heat lies.
"""

import argparse
import os
from pathlib import Path

import torch
from rich.console import Console
from sklearn.metrics import roc_auc_score

from radrelay_training import bundling
from radrelay_training.data import load_cases
from radrelay_training.localisation import localise
from radrelay_training.plan import DEMONSTRATION
from radrelay_training.scoring import score
from radrelay_training.train import EpochResult, train


def main() -> None:
    """Train, or go on where an earlier run stopped, and look at the result."""
    parser = argparse.ArgumentParser(prog="python -m radrelay_training", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="checkpoints and drawn phantoms")
    parser.add_argument("--out", type=Path, default=Path("build/bundles/demonstration"), help="the bundle")
    options = parser.parse_args()
    console = Console(highlight=False)
    torch.set_num_threads(os.cpu_count() or 1)
    plan = DEMONSTRATION
    folder = options.work / plan.fingerprint()

    def tell(result: EpochResult) -> None:
        console.print(
            f"stage {result.stage + 1} of {len(plan.stages)} ({result.size_px} px), epoch {result.epoch + 1} of"
            f" {plan.stages[result.stage].epochs}: loss {result.loss:.3f}, validation AUROC"
            f" {result.validation_auroc:.3f}, {result.seconds:.0f} s"
        )

    with console.status(f"Training {plan.timm_name} on synthetic phantoms ..."):
        model = train(plan, folder, tell)
    bundle = bundling.write(plan, model, options.out)
    console.print(f"Wrote {bundle.directory}, {bundle.digest}, not calibrated.")
    for split in (plan.calibration, plan.test):
        with console.status(f"Scoring the {split.name} split ..."):
            cases = load_cases(plan, split, plan.served_px, folder)
            scores = score(bundle, cases)
        scores.write_csv(folder / f"{split.name}.csv", cases)
        found = cases.labels_n & (scores.probabilities_n >= bundle.manifest.thresholds.positive)
        heat = localise(scores.cams_nyx[found], cases.masks_nyx[found])
        console.print(
            f"{split.name}: {len(cases)} cases, AUROC {roc_auc_score(cases.labels_n, scores.logits_n):.3f};"
            f" hottest point in the lesion in {heat.hit_rate:.1%} of {heat.cases} true positives,"
            f" {heat.heat_inside:.1%} of the heat"
        )


if __name__ == "__main__":
    main()
