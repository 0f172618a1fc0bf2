"""Files that every reader of PNG reads."""

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from radrelay_imaging.png import encode_png


@given(rows=st.integers(1, 40), columns=st.integers(1, 40), rgba=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_every_pixel_comes_back(rows: int, columns: int, seed: int, *, rgba: bool) -> None:
    shape = (rows, columns, 4) if rgba else (rows, columns)
    image = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    with Image.open(io.BytesIO(encode_png(image))) as opened:
        assert opened.mode == ("RGBA" if rgba else "L")
        assert np.array_equal(np.asarray(opened), image)


def test_the_file_holds_nothing_but_the_picture() -> None:
    encoded = encode_png(np.zeros((4, 4), np.uint8))
    with Image.open(io.BytesIO(encoded)) as opened:
        opened.load()
        assert opened.info == {}
    assert [encoded.count(kind) for kind in (b"IHDR", b"IDAT", b"IEND", b"tEXt", b"eXIf")] == [1, 1, 1, 0, 0]
