import math
import struct

import pytest
from pydantic import ValidationError

from radrelay_shared.events import Heatmap


def of(*values: float, rows: int = 2, columns: int = 2) -> Heatmap:
    return Heatmap.of_bytes(struct.pack(f"<{len(values)}f", *values), rows=rows, columns=columns)


def test_a_map_gives_back_its_values() -> None:
    values = (0.0, -0.0, 1e-38, 3.4e38)
    assert struct.unpack("<4f", of(*values).data) == pytest.approx(values)


@pytest.mark.parametrize("wrong", [-1e-30, -1.0, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", range(4))
def test_no_value_is_negative_or_not_finite(wrong: float, place: int) -> None:
    values = [0.5, 3.4e38, 0.0, 3.4e38]
    values[place] = wrong
    with pytest.raises(ValidationError, match="negative or not finite"):
        of(*values)


def test_infinities_of_both_signs_do_not_hide_each_other() -> None:
    with pytest.raises(ValidationError, match="negative or not finite"):
        of(math.inf, 0.0, -math.inf, math.nan)


@pytest.mark.parametrize("count", [3, 5])
def test_values_fill_the_shape(count: int) -> None:
    with pytest.raises(ValidationError, match="does not hold rows times columns"):
        of(*[0.5] * count)
