"""What the generator returns."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class HaemorrhageKind(StrEnum):
    """The haemorrhages that the generator draws."""

    INTRAPARENCHYMAL = "intraparenchymal"
    EPIDURAL = "epidural"
    SUBDURAL = "subdural"
    INTRAVENTRICULAR = "intraventricular"


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """One axial slice of a synthetic head.

    Rows run from front to back, columns from the patient's right to the left, as axial CT is shown.

    Attributes:
        image_hu_yx: int16, shape (size, size), Hounsfield units.
        lesion_mask_yx: bool, shape (size, size), the haemorrhage in this slice; all false without one.
        intracranial_mask_yx: bool, shape (size, size), everything inside the inner table of the skull.
        kind: the haemorrhage in this slice, None where it holds none.
        spacing_mm: width and height of a pixel.
        slice_thickness_mm: thickness of the slice.
        level_mm: height above the level of the interventricular foramina.
        difficulty: 0 (plain) to 1 (subtle).
        seed: the seed that draws this head again.
    """

    image_hu_yx: NDArray[np.int16]
    lesion_mask_yx: NDArray[np.bool_]
    intracranial_mask_yx: NDArray[np.bool_]
    kind: HaemorrhageKind | None
    spacing_mm: float
    slice_thickness_mm: float
    level_mm: float
    difficulty: float
    seed: int
