"""A bundle's scores on a split, by the engine that serves it, as a file of cases."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference_service.bundles import Bundle
from inference_service.engine.screening import ImageFault, ScreeningEngine
from radrelay_phantoms import choose_kind
from radrelay_training.data import Cases
from radrelay_training.localisation import localise
from radrelay_training.plan import Plan, Split

_BATCH = 32


@dataclass(frozen=True, slots=True)
class Scores:
    """One entry for each case of a split."""

    logits_n: npt.NDArray[np.float64]
    probabilities_n: npt.NDArray[np.float64]
    """Calibrated, as the bundle says."""
    cams_nyx: npt.NDArray[np.float32]


def score(bundle: Bundle, cases: Cases) -> Scores:
    """Score every case, in float32 on OpenVINO, which takes half the time of PyTorch.

    Raises:
        ValueError: the network gave no number for a case.
    """
    engine = ScreeningEngine.from_bundle(bundle, device="cpu", runtime="openvino-float32")
    logits, probabilities, cams = [], [], []
    for start in range(0, len(cases), _BATCH):
        for outcome in engine.screen(list(cases.images_ncyx[start : start + _BATCH])):
            if isinstance(outcome, ImageFault):
                raise ValueError(f"a case has no score: {outcome.detail}")  # noqa: TRY004  # a value: the weights give no number
            logits.append(outcome.logit)
            probabilities.append(outcome.probability)
            cams.append(outcome.cam_yx)
    return Scores(np.array(logits), np.array(probabilities), np.stack(cams))


def write_cases(path: Path, plan: Plan, split: Split, cases: Cases, scores: Scores, *, threshold: float) -> None:
    """Write one line a case, as `radrelay-bundle` reads them.

    Columns: `seed` of the phantom, `logit`, `label`, `group` (the kind of haemorrhage), `heat_hit` and `heat_inside`
    of the true positives, and the mean level of each channel.

    Args:
        path: the CSV file.
        plan: that the cases were drawn by.
        split: whose seeds they have.
        cases: the split.
        scores: of the same cases.
        threshold: calibrated probability from which, inclusive, a case is positive.
    """
    true_positive_n = cases.labels_n & (scores.probabilities_n >= threshold)
    heat = localise(scores.cams_nyx[true_positive_n], cases.masks_nyx[true_positive_n])
    place_n = np.cumsum(true_positive_n) - 1
    levels_nc = cases.images_ncyx.mean(axis=(2, 3), dtype=np.float64)
    channels = [f"level_{channel}" for channel in range(levels_nc.shape[1])]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("seed", "logit", "label", "group", "heat_hit", "heat_inside", *channels))
        for index in range(len(cases)):
            seed = split.first_seed + index
            labelled = bool(cases.labels_n[index])
            at = place_n[index]
            found = bool(true_positive_n[index])
            writer.writerow(
                (
                    seed,
                    repr(float(scores.logits_n[index])),
                    int(labelled),
                    choose_kind(seed, plan.prevalence) if labelled else "",
                    int(heat.hits_n[at]) if found else "",
                    f"{heat.inside_n[at]:.4f}" if found else "",
                    *(f"{level:.3f}" for level in levels_nc[index]),
                )
            )
