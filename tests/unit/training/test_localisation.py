import numpy as np
import pytest

from radrelay_training.localisation import localise


def one_hot(cells: int, row: int, column: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    cam_yx = np.zeros((cells, cells), np.float32)
    cam_yx[row, column] = 1
    return cam_yx


def square(row: int, column: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    mask_yx = np.zeros((60, 60), np.bool_)
    mask_yx[row : row + 4, column : column + 4] = True
    return mask_yx


def test_heat_on_the_lesion_is_a_hit_and_heat_elsewhere_is_not() -> None:
    cams_nyx = np.stack([one_hot(6, 1, 1), one_hot(6, 5, 5)])
    masks_nyx = np.stack([square(13, 13), square(13, 13)])
    found = localise(cams_nyx, masks_nyx)
    assert found.hits_n.tolist() == [True, False]


def test_heat_one_cell_beside_the_lesion_is_still_a_hit_and_two_cells_is_not() -> None:
    cams_nyx = np.stack([one_hot(6, 1, 2), one_hot(6, 1, 4)])
    assert localise(cams_nyx, np.stack([square(13, 13)] * 2)).hits_n.tolist() == [True, False]


def test_the_share_of_heat_inside_counts_the_grown_lesion() -> None:
    everywhere = np.ones((1, 6, 6), np.float32)
    grown_side = 4 + 2 * 10
    assert localise(everywhere, square(20, 20)[np.newaxis]).inside_n.tolist() == [pytest.approx(grown_side**2 / 60**2)]


def test_maps_and_masks_must_go_in_pairs() -> None:
    with pytest.raises(ValueError, match="zip"):
        localise(np.ones((2, 6, 6), np.float32), square(1, 1)[np.newaxis])
