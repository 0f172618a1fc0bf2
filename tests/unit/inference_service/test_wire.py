"""What goes between worker and model server is exact, and is never unpickled."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_service.wire import ImageResult, decode_image, encode_image


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 2**32 - 1),
)
def test_an_image_arrives_as_it_was_sent(shape: tuple[int, int, int], seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(decode_image(encode_image(image)), image)


def npy(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        encode_image(np.zeros((1, 4, 4), np.uint8))[:-1],
        encode_image(np.zeros((1, 4, 4), np.uint8)) + b"\0",
        npy(np.zeros((1, 4, 4), np.float32)),
        npy(np.zeros((4, 4), np.uint8)),
        npy(np.asfortranarray(np.zeros((2, 4, 4), np.uint8))),
        npy(np.array([{"a": 1}], object), allow_pickle=True),
        b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535,
    ],
)
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the kind is the contract; each fault has words of its own
        decode_image(body)


def test_a_map_arrives_bit_for_bit() -> None:
    cam = np.random.default_rng(0).standard_normal((12, 11)).astype(np.float32)
    result = ImageResult(
        digest="sha256:0",
        runtime="fake-float32",
        runtime_detail="fake 1.0 cpu float32",
        logit=0.0,
        probability_raw=0.5,
        probability=0.5,
        cam_shape=(12, 11),
        cam_base64=ImageResult.encode_cam(cam),
        model_s=0.1,
        batch_size=1,
    )
    assert np.array_equal(ImageResult.model_validate_json(result.model_dump_json()).cam_yx(), cam)
