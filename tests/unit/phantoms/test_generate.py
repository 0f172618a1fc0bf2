import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage, stats

from radrelay_phantoms import (
    HaemorrhageKind,
    InvalidRequest,
    Phantom,
    choose_kind,
    generate_series,
    generate_slice,
    sample,
)

SIZE = 192


def around(phantom: Phantom, inner_mm: float, outer_mm: float) -> NDArray[np.bool_]:
    """Select the intracranial ring between two distances from the lesion."""
    away_mm = ndimage.distance_transform_edt(~phantom.lesion_mask_yx) * phantom.spacing_mm
    ring: NDArray[np.bool_] = (away_mm > inner_mm) & (away_mm < outer_mm) & phantom.intracranial_mask_yx
    return ring


def auroc(scores: list[float], labels: list[bool]) -> float:
    positive = np.array(labels)
    ranks = stats.rankdata(scores)
    count = int(positive.sum())
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(labels) - count)))


@pytest.fixture(scope="module")
def mixed() -> list[Phantom]:
    return [sample(seed, size=SIZE) for seed in range(20_000, 20_300)]


def test_the_same_seed_draws_the_same_slice_and_another_seed_another() -> None:
    first, again, other = (generate_slice(seed, haemorrhage=None, size=SIZE) for seed in (7, 7, 8))
    assert np.array_equal(first.image_hu_yx, again.image_hu_yx)
    assert not np.array_equal(first.image_hu_yx, other.image_hu_yx)


@pytest.mark.parametrize("kind", HaemorrhageKind)
def test_every_kind_gives_blood_that_is_denser_than_what_surrounds_it(kind: HaemorrhageKind) -> None:
    contrasts = []
    for seed in range(12):
        phantom = generate_slice(seed, haemorrhage=kind, size=SIZE)
        assert phantom.kind is kind
        assert phantom.lesion_mask_yx.sum() * phantom.spacing_mm**2 > 12
        assert not (phantom.lesion_mask_yx & ~phantom.intracranial_mask_yx).any()
        core = ndimage.binary_erosion(phantom.lesion_mask_yx)
        core = core if core.any() else phantom.lesion_mask_yx
        brain = phantom.image_hu_yx[around(phantom, 3, 12) & (phantom.image_hu_yx < 120)]
        contrasts.append(np.median(phantom.image_hu_yx[core]) - np.median(brain))
    assert np.median(contrasts) > 12
    assert np.median(contrasts) < 60


def test_a_head_without_haemorrhage_has_an_empty_mask_and_no_kind() -> None:
    phantom = generate_slice(3, haemorrhage=None, size=SIZE)
    assert phantom.kind is None
    assert not phantom.lesion_mask_yx.any()


def test_the_image_is_signed_hounsfield_units_from_air_to_bone() -> None:
    phantom = generate_slice(5, haemorrhage=None, size=SIZE)
    assert phantom.image_hu_yx.dtype == np.int16
    assert phantom.image_hu_yx.shape == (SIZE, SIZE)
    assert np.median(phantom.image_hu_yx[:6, :6]) == pytest.approx(-1000, abs=10)
    assert 900 < phantom.image_hu_yx.max() < 2200
    brain = phantom.image_hu_yx[ndimage.binary_erosion(phantom.intracranial_mask_yx, iterations=8)]
    assert 22 < np.median(brain) < 45


def test_grey_matter_near_the_surface_is_brighter_than_deep_white_matter() -> None:
    differences = []
    for seed in range(10):
        phantom = generate_slice(seed, haemorrhage=None, difficulty=0, size=256)
        depth_mm = ndimage.distance_transform_edt(phantom.intracranial_mask_yx) * phantom.spacing_mm
        image = phantom.image_hu_yx
        ring = (depth_mm > 7) & (depth_mm < 11)
        cortex = np.percentile(image[ring], 75) - np.percentile(image[(depth_mm > 22) & (depth_mm < 30)], 50)
        differences.append(cortex)
    assert 2 < np.median(differences) < 14


def test_the_same_seed_shows_the_same_head_with_and_without_blood() -> None:
    without = generate_slice(11, haemorrhage=None, size=SIZE)
    bleeding = generate_slice(11, haemorrhage=HaemorrhageKind.INTRAPARENCHYMAL, size=SIZE)
    far = around(bleeding, 40, 300)
    assert np.array_equal(without.intracranial_mask_yx, bleeding.intracranial_mask_yx)
    assert np.abs(without.image_hu_yx[far].astype(int) - bleeding.image_hu_yx[far]).mean() < 6


def test_the_anatomy_does_not_depend_on_the_number_of_pixels() -> None:
    small = generate_slice(4, haemorrhage=HaemorrhageKind.EPIDURAL, difficulty=0, size=128)
    large = generate_slice(4, haemorrhage=HaemorrhageKind.EPIDURAL, difficulty=0, size=256)
    halved = large.lesion_mask_yx.reshape(128, 2, 128, 2).mean(axis=(1, 3)) > 0.5
    overlap = (halved & small.lesion_mask_yx).sum() / (halved | small.lesion_mask_yx).sum()
    assert overlap > 0.9


def test_greater_difficulty_gives_smaller_fainter_blood_in_more_noise() -> None:
    def measure(difficulty: float) -> tuple[float, float, float]:
        areas, blood, noise = [], [], []
        for seed in range(15):
            kind = HaemorrhageKind.INTRAPARENCHYMAL
            phantom = generate_slice(seed, haemorrhage=kind, difficulty=difficulty, size=SIZE)
            areas.append(phantom.lesion_mask_yx.sum() * phantom.spacing_mm**2)
            blood.append(np.median(phantom.image_hu_yx[phantom.lesion_mask_yx]))
            noise.append(phantom.image_hu_yx[:20, :20].std())
        return float(np.median(areas)), float(np.median(blood)), float(np.median(noise))

    easy, hard = measure(0.0), measure(1.0)
    assert easy[0] > 2 * hard[0]
    assert easy[1] > hard[1] + 8
    assert easy[2] < hard[2]


def test_no_threshold_on_ct_numbers_separates_the_classes_at_the_default_difficulty(mixed: list[Phantom]) -> None:
    labels = [phantom.kind is not None for phantom in mixed]
    brightest, above_50, in_blood_range, smooth = [], [], [], []
    for phantom in mixed:
        brain = phantom.image_hu_yx[ndimage.binary_erosion(phantom.intracranial_mask_yx, iterations=2)]
        blurred = ndimage.gaussian_filter(phantom.image_hu_yx.astype(np.float32), 1.2)
        brightest.append(float(brain.max()))
        above_50.append(float((brain > 50).sum()))
        in_blood_range.append(float(((brain > 50) & (brain < 90)).sum()))
        smooth.append(float((blurred[ndimage.binary_erosion(phantom.intracranial_mask_yx, iterations=3)] > 52).sum()))
    for scores in (brightest, above_50, in_blood_range, smooth):
        assert auroc(scores, labels) < 0.9
    assert auroc(brightest, labels) < 0.75


def test_heads_without_blood_hold_bright_calcifications(mixed: list[Phantom]) -> None:
    healthy = [phantom for phantom in mixed if phantom.kind is None]
    inside = [ndimage.binary_erosion(phantom.intracranial_mask_yx, iterations=6) for phantom in healthy]
    bright = [phantom.image_hu_yx[mask].max() > 100 for phantom, mask in zip(healthy, inside, strict=True)]
    assert np.mean(bright) > 0.4


def test_prevalence_is_the_share_of_haemorrhages() -> None:
    kinds = [choose_kind(seed, 0.3) for seed in range(2_000)]
    assert np.mean([kind is not None for kind in kinds]) == pytest.approx(0.3, abs=0.04)
    assert set(kinds) == {None, *HaemorrhageKind}
    assert {choose_kind(seed, 0.0) for seed in range(50)} == {None}


def test_a_series_is_one_head_with_the_blood_around_its_middle() -> None:
    series = generate_series(9, haemorrhage=HaemorrhageKind.INTRAPARENCHYMAL, slices=9, size=SIZE)
    levels = [phantom.level_mm for phantom in series]
    areas = [int(phantom.lesion_mask_yx.sum()) for phantom in series]
    assert np.allclose(np.diff(levels), 5.0)
    assert series[4].kind is HaemorrhageKind.INTRAPARENCHYMAL
    assert areas[4] > max(areas[0], areas[8])
    assert all((phantom.kind is None) == (area == 0) for phantom, area in zip(series, areas, strict=True))


def test_the_slices_of_a_series_share_the_dose_but_not_the_noise() -> None:
    corners = [
        phantom.image_hu_yx[:24, :24].astype(float)
        for seed in range(6)
        for phantom in generate_series(seed, haemorrhage=None, slices=2, size=SIZE)
    ]
    for first, second in zip(corners[::2], corners[1::2], strict=True):
        assert second.std() == pytest.approx(first.std(), rel=0.25)
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"difficulty": 1.5}, "difficulty is 1.5"),
        ({"size": 16}, "size is 16"),
    ],
)
def test_arguments_out_of_range_are_refused_with_their_name(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        generate_slice(**{"seed": 1, "haemorrhage": None, **arguments})  # type: ignore[arg-type]  # one bad value each


def test_a_prevalence_or_a_series_length_out_of_range_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"prevalence is 1\.2"):
        sample(1, prevalence=1.2)
    with pytest.raises(InvalidRequest, match="slices is 40"):
        generate_series(1, haemorrhage=None, slices=40)
