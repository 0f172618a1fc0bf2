"""Phantoms as the network sees them: drawn, written as DICOM, and prepared by the very function that serves."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from inference_service.imaging.preparation import prepare_frames
from radrelay_phantoms import Phantom, sample
from radrelay_phantoms.dicom import write_dicom
from radrelay_training.plan import Plan, Split, image_spec


@dataclass(frozen=True, slots=True)
class Cases:
    """A split at one resolution."""

    images_ncyx: npt.NDArray[np.uint8]
    labels_n: npt.NDArray[np.bool_]
    masks_nyx: npt.NDArray[np.bool_]
    """Lesions in the frame of the network's input; all false without one."""

    def __len__(self) -> int:
        return len(self.labels_n)


def prepare_phantom(phantom: Phantom, size_px: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """The network's array (channels, size, size) and the lesion's mask (size, size) of one phantom."""
    file = BytesIO()
    write_dicom(phantom, file)
    (prepared,) = prepare_frames(file.getvalue(), image_spec(size_px))
    mask = Image.fromarray(phantom.lesion_mask_yx).resize((size_px, size_px), Image.Resampling.NEAREST)
    return prepared.image_cyx, np.asarray(mask, np.bool_)


def _case(seed: int, *, plan: Plan, size_px: int) -> tuple[npt.NDArray[np.uint8], bool, npt.NDArray[np.bool_]]:
    phantom = sample(seed, prevalence=plan.prevalence, difficulty=plan.difficulty, size=plan.phantom_px)
    image_cyx, mask_yx = prepare_phantom(phantom, size_px)
    return image_cyx, phantom.kind is not None, mask_yx


def load_cases(plan: Plan, split: Split, size_px: int, folder: Path) -> Cases:
    """The cases of a split, drawn the first time and kept in `folder`."""
    path = folder / f"{split.name}-{size_px}.npz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        images, labels, masks = zip(*_draw(plan, split, size_px), strict=True)
        scratch = path.with_suffix(".part")
        with scratch.open("wb") as file:
            np.savez(
                file, images=np.stack(images), labels=np.array(labels), masks=np.packbits(np.stack(masks), axis=-1)
            )
        scratch.rename(path)
    with np.load(path) as kept:
        masks_nyx = np.unpackbits(kept["masks"], axis=-1, count=size_px).astype(np.bool_)
        return Cases(kept["images"], kept["labels"], masks_nyx)


def _draw(
    plan: Plan, split: Split, size_px: int
) -> Iterator[tuple[npt.NDArray[np.uint8], bool, npt.NDArray[np.bool_]]]:
    seeds = range(split.first_seed, split.first_seed + split.count)
    pool = ProcessPoolExecutor(os.cpu_count(), initializer=_begin_to_draw)
    try:
        yield from pool.map(partial(_case, plan=plan, size_px=size_px), seeds, chunksize=5)
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_to_draw() -> None:
    """Leave Ctrl-C, which reaches every process of the terminal, to the one that waits for these."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
