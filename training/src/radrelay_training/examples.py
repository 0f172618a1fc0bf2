"""Pictures of what the bundle gets right and wrong, for its card."""

import csv
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import binary_dilation

from inference_service.bundles import Bundle
from inference_service.engine.screening import ImageFault, ScreeningEngine
from inference_service.imaging import cut_to_image, prepare_frames
from inference_service.tools.examples import LIST_FILE
from radrelay_imaging import Window, draw_image, draw_overlay, picture_size
from radrelay_phantoms import HaemorrhageKind, Phantom, choose_kind, sample
from radrelay_phantoms.dicom import write_dicom
from radrelay_training.plan import Plan, Split

_ENLARGED = 2
_BRAIN_WINDOW = Window(center=40.0, width=80.0)
_OUTLINE_RGB = (0, 220, 255)


def write_examples(
    folder: Path,
    bundle: Bundle,
    plan: Plan,
    split: Split,
    labels_n: npt.NDArray[np.bool_],
    called_n: npt.NDArray[np.bool_],
) -> None:
    """Write one PNG each of: every kind of haemorrhage found, one missed, one false alarm, one rightly negative.

    The first of its sort in the split is taken, whatever it looks like. Left the image, right the same with the
    heatmap and the lesion's outline.

    Args:
        folder: for the pictures and `examples.csv`; made where it does not exist.
        bundle: calibrated.
        plan: that the cases were drawn by.
        split: whose seeds they have.
        labels_n: whether each case has a haemorrhage.
        called_n: whether the bundle says so.
    """
    folder.mkdir(parents=True, exist_ok=True)
    engine = ScreeningEngine.from_bundle(bundle, device="cpu")
    kinds_n = np.array([choose_kind(split.first_seed + index, plan.prevalence) or "" for index in range(len(labels_n))])
    sorts: list[tuple[str, npt.NDArray[np.bool_]]] = [
        *((f"{kind} haemorrhage, found", labels_n & called_n & (kinds_n == kind)) for kind in HaemorrhageKind),
        ("haemorrhage, missed", labels_n & ~called_n),
        ("no haemorrhage, false alarm", ~labels_n & called_n),
        ("no haemorrhage, rightly negative", ~labels_n & ~called_n),
    ]
    rows = []
    for sort, members_n in sorts:
        indices = np.flatnonzero(members_n)
        if not len(indices):
            continue
        seed = split.first_seed + int(indices[0])
        phantom = sample(seed, prevalence=plan.prevalence, difficulty=plan.difficulty, size=plan.phantom_px)
        picture, probability = _picture(phantom, bundle, engine)
        name = f"{'-'.join(sort.replace(',', '').split())}.png"
        picture.save(folder / name, optimize=True)
        rows.append((name, f"{sort}: probability {probability:.3f} (phantom {seed})"))
    with (folder / LIST_FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("file", "caption"))
        writer.writerows(rows)


def _picture(phantom: Phantom, bundle: Bundle, engine: ScreeningEngine) -> tuple[Image.Image, float]:
    file = BytesIO()
    write_dicom(phantom, file)
    (frame,) = prepare_frames(file.getvalue(), bundle.manifest.image)
    (outcome,) = engine.screen([frame.image_cyx])
    if isinstance(outcome, ImageFault):
        raise ValueError(f"phantom {phantom.seed} has no score: {outcome.detail}")  # noqa: TRY004  # a value: the weights give no number
    placement = frame.placement
    image_png = draw_image(file.getvalue(), frame_number=frame.frame_number, window=_BRAIN_WINDOW)
    overlay_png = draw_overlay(
        cut_to_image(outcome.cam_yx, placement), size=picture_size(placement.rows, placement.columns)
    )
    plain = _enlarge(Image.open(BytesIO(image_png)).convert("RGBA"))
    overlay = _enlarge(Image.open(BytesIO(overlay_png)))
    explained = Image.alpha_composite(plain, overlay).convert("RGB")
    mask_yx = np.kron(phantom.lesion_mask_yx, np.ones((_ENLARGED, _ENLARGED), np.bool_))
    pixels_yxc = np.array(explained)
    pixels_yxc[binary_dilation(mask_yx, iterations=2) & ~binary_dilation(mask_yx)] = _OUTLINE_RGB
    pair = Image.new("RGB", (2 * plain.width, plain.height))
    pair.paste(plain.convert("RGB"), (0, 0))
    pair.paste(Image.fromarray(pixels_yxc), (plain.width, 0))
    return pair, outcome.probability


def _enlarge(image: Image.Image) -> Image.Image:
    return image.resize((image.width * _ENLARGED, image.height * _ENLARGED), Image.Resampling.BICUBIC)
