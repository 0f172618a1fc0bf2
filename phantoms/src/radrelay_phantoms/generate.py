"""Draw synthetic head-CT slices.

A head is drawn from its seed alone, whatever the haemorrhage: the same seed with and without one shows the same
patient before and after.
"""

import numpy as np

from radrelay_phantoms.artefacts import add_noise, blur_and_move, draw_artefacts, harden_beam
from radrelay_phantoms.brain import paint_brain
from radrelay_phantoms.distractors import Distractors, draw_distractors
from radrelay_phantoms.fields import Grid, blend
from radrelay_phantoms.head import HIGHEST_LEVEL_MM, LOWEST_LEVEL_MM, Head, draw_head
from radrelay_phantoms.lesions import VENTRICLE_LEVELS_MM, Lesion, draw_lesion
from radrelay_phantoms.phantom import HaemorrhageKind, Phantom
from radrelay_phantoms.skull import paint_outside
from radrelay_phantoms.slice_frame import SliceFrame
from radrelay_phantoms.tissue import AIR_HU, CT_NOISE_SD_HU

DEFAULT_DIFFICULTY = 0.5
SLICE_THICKNESS_MM = 5.0
FIELD_OF_VIEW_MM = (222.0, 250.0)

_ANATOMY, _LESION, _DISTRACTORS, _SCANNER, _CHOICE = range(5)


class InvalidRequest(ValueError):
    """The generator was asked for something that it cannot draw; the message says what."""


def _rng(seed: int, stream: int) -> np.random.Generator:
    return np.random.default_rng((seed, stream))


def generate_slice(
    seed: int, *, haemorrhage: HaemorrhageKind | None, difficulty: float = DEFAULT_DIFFICULTY, size: int = 512
) -> Phantom:
    """Draw one slice of the head of `seed`.

    Args:
        seed: any integer from 0; the same arguments give the same slice.
        haemorrhage: what to draw, None for a head without one.
        difficulty: 0 (large, dense, little noise) to 1 (small, faint, noisy).
        size: pixels along each side, at least 64.

    Raises:
        InvalidRequest: an argument is out of range.
    """
    _check(seed, difficulty, size)
    anatomy = _rng(seed, _ANATOMY)
    height = anatomy.uniform()
    head, grid = draw_head(anatomy), Grid.make(size, anatomy.uniform(*FIELD_OF_VIEW_MM))
    bounds = (LOWEST_LEVEL_MM, HIGHEST_LEVEL_MM)
    if haemorrhage is HaemorrhageKind.INTRAVENTRICULAR:
        bounds = VENTRICLE_LEVELS_MM
    level_mm = bounds[0] + height * (bounds[1] - bounds[0])
    frame = SliceFrame.cut(head, grid, level_mm)
    lesion = draw_lesion(_rng(seed, _LESION), haemorrhage, frame, difficulty) if haemorrhage else None
    distractors = draw_distractors(_rng(seed, _DISTRACTORS), frame)
    return _render(frame, (haemorrhage, lesion), distractors, difficulty, (seed, 0))


def generate_series(
    seed: int,
    *,
    haemorrhage: HaemorrhageKind | None,
    slices: int,
    difficulty: float = DEFAULT_DIFFICULTY,
    size: int = 512,
) -> list[Phantom]:
    """Draw several slices of one head from below upwards, one slice thickness apart, the haemorrhage in their middle.

    The slices that the haemorrhage does not reach have `kind` None.

    Raises:
        InvalidRequest: an argument is out of range.
    """
    _check(seed, difficulty, size)
    most = int((HIGHEST_LEVEL_MM - LOWEST_LEVEL_MM) / SLICE_THICKNESS_MM) + 1
    if not 1 <= slices <= most:
        raise InvalidRequest(f"slices is {slices}; a head has 1 to {most} slices of {SLICE_THICKNESS_MM:g} mm")
    anatomy = _rng(seed, _ANATOMY)
    start = anatomy.uniform()
    head, grid = draw_head(anatomy), Grid.make(size, anatomy.uniform(*FIELD_OF_VIEW_MM))
    lowest = LOWEST_LEVEL_MM + start * (HIGHEST_LEVEL_MM - LOWEST_LEVEL_MM - (slices - 1) * SLICE_THICKNESS_MM)
    if haemorrhage is HaemorrhageKind.INTRAVENTRICULAR:
        middle = sum(VENTRICLE_LEVELS_MM) / 2
        lowest = max(LOWEST_LEVEL_MM, middle - (slices - 1) / 2 * SLICE_THICKNESS_MM)
    levels = [lowest + index * SLICE_THICKNESS_MM for index in range(slices)]
    frames = [SliceFrame.cut(head, grid, level) for level in levels]
    middle_frame = frames[slices // 2]
    lesion = draw_lesion(_rng(seed, _LESION), haemorrhage, middle_frame, difficulty) if haemorrhage else None
    distractors = draw_distractors(_rng(seed, _DISTRACTORS), middle_frame)
    return [
        _render(frame, (haemorrhage, lesion), distractors, difficulty, (seed, index))
        for index, frame in enumerate(frames)
    ]


def sample(seed: int, *, prevalence: float = 0.5, difficulty: float = DEFAULT_DIFFICULTY, size: int = 512) -> Phantom:
    """Draw a slice that has a haemorrhage with probability `prevalence`, each kind as likely as the others.

    Raises:
        InvalidRequest: an argument is out of range.
    """
    return generate_slice(seed, haemorrhage=choose_kind(seed, prevalence), difficulty=difficulty, size=size)


def choose_kind(seed: int, prevalence: float) -> HaemorrhageKind | None:
    """Return what `sample` draws for a seed.

    Raises:
        InvalidRequest: the prevalence is no probability.
    """
    if not 0 <= prevalence <= 1:
        raise InvalidRequest(f"prevalence is {prevalence}; it must be from 0 to 1")
    choice = _rng(seed, _CHOICE)
    if choice.uniform() >= prevalence:
        return None
    return list(HaemorrhageKind)[int(choice.integers(len(HaemorrhageKind)))]


def _check(seed: int, difficulty: float, size: int) -> None:
    if seed < 0:
        raise InvalidRequest(f"seed is {seed}; it must be 0 or more")
    if not 0 <= difficulty <= 1:
        raise InvalidRequest(f"difficulty is {difficulty}; it must be from 0 to 1")
    if size < 64:
        raise InvalidRequest(f"size is {size}; a slice has at least 64 pixels a side")


def _ventricle_scale(head: Head, kind: HaemorrhageKind | None) -> float:
    """Blood needs room: ventricles that hold some are not slits."""
    return max(head.ventricle_scale, 0.95) if kind is HaemorrhageKind.INTRAVENTRICULAR else head.ventricle_scale


def _render(
    frame: SliceFrame,
    bleeding: tuple[HaemorrhageKind | None, Lesion | None],
    distractors: Distractors,
    difficulty: float,
    noise_key: tuple[int, int],
) -> Phantom:
    """Paint one slice from the inside out and scan it."""
    kind, lesion = bleeding
    seed, index = noise_key
    scanner = np.random.default_rng((seed, _SCANNER, 0))
    artefacts = draw_artefacts(scanner, frame.level_mm, CT_NOISE_SD_HU * (0.65 + 0.7 * difficulty))
    if index > 0:  # one scan has one dose and one set of artefacts, but each slice its own noise
        scanner = np.random.default_rng((seed, _SCANNER, index))
    lesions = (*distractors.lesions, lesion) if lesion else distractors.lesions
    x_mm, y_mm = frame.x_mm, frame.y_mm
    for each in lesions:
        x_mm, y_mm = each.displace(frame, x_mm, y_mm)
    brain = paint_brain(frame, x_mm, y_mm, _ventricle_scale(frame.head, kind))
    inside = brain.hu
    for calcification in distractors.calcifications:
        calcification.paint(inside, frame, x_mm, y_mm)
    for each in distractors.lesions:
        each.paint(inside, frame, brain)
    mask = (
        (lesion.paint(inside, frame, brain) > 0.5) & (frame.depth_mm > 0)
        if lesion
        else np.zeros(inside.shape, np.bool_)
    )
    inside *= np.float32(frame.head.calibration_gain)

    hu = np.full_like(inside, AIR_HU)
    paint_outside(hu, frame)
    blend(hu, frame.intracranial, inside)
    harden_beam(hu, frame, artefacts)
    hu = blur_and_move(hu, frame.grid.spacing_mm, artefacts)
    add_noise(hu, scanner, frame, artefacts)
    return Phantom(
        image_hu_yx=np.clip(np.rint(hu), -1024, 3071).astype(np.int16),
        lesion_mask_yx=mask,
        intracranial_mask_yx=frame.depth_mm > 0,
        kind=kind if mask.any() else None,
        spacing_mm=frame.grid.spacing_mm,
        slice_thickness_mm=SLICE_THICKNESS_MM,
        level_mm=frame.level_mm,
        difficulty=difficulty,
        seed=seed,
    )
