"""A bundle's scores on a split, by the engine that serves it."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference_service.bundles import Bundle
from inference_service.engine.screening import ImageFault, ScreeningEngine
from radrelay_training.data import Cases

_BATCH = 32


@dataclass(frozen=True, slots=True)
class Scores:
    """One entry for each case of a split."""

    logits_n: npt.NDArray[np.float64]
    probabilities_n: npt.NDArray[np.float64]
    """Calibrated, as the bundle says."""
    cams_nyx: npt.NDArray[np.float32]

    def write_csv(self, path: Path, cases: Cases) -> None:
        """Write `logit,label` a line, what the calibration and the evaluation read."""
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("logit", "label"))
            writer.writerows(zip(self.logits_n.tolist(), cases.labels_n.astype(int).tolist(), strict=True))


def score(bundle: Bundle, cases: Cases) -> Scores:
    """Score every case.

    Raises:
        ValueError: the network gave no number for a case.
    """
    engine = ScreeningEngine.from_bundle(bundle, device="cpu")
    logits, probabilities, cams = [], [], []
    for start in range(0, len(cases), _BATCH):
        for outcome in engine.screen(list(cases.images_ncyx[start : start + _BATCH])):
            if isinstance(outcome, ImageFault):
                raise ValueError(f"a case has no score: {outcome.detail}")  # noqa: TRY004  # a value: the weights give no number
            logits.append(outcome.logit)
            probabilities.append(outcome.probability)
            cams.append(outcome.cam_yx)
    return Scores(np.array(logits), np.array(probabilities), np.stack(cams))
