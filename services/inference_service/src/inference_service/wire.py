"""What the worker and the model server say to each other over HTTP. Knows neither torch nor BentoML.

One request carries one image: its body is a NumPy `.npy` file of uint8 (channels, size, size) and its header
`X-Radrelay-Model` the digest that the image was prepared for. The answer is JSON: an `ImageResult` or an `ImageError`.
"""

import base64
import io
from enum import StrEnum
from typing import Annotated, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from inference_service.bundles.image_spec import ImageSpec
from inference_service.bundles.manifest import Thresholds

MODEL_DIGEST_HEADER: Final = "X-Radrelay-Model"
IMAGE_MEDIA_TYPE: Final = "application/x-npy"
SCREEN_PATH: Final = "/screen"
MODELS_PATH: Final = "/models"
MODEL_CHANGED: Final = "model_changed"
"""`ImageError.reason` where the image was prepared for a model that is not loaded (any more)."""

_MAX_NPY_HEADER: Final = 1024


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelRole(StrEnum):
    """What becomes of a model's scores."""

    ACTIVE = "active"
    """They are results."""
    SHADOW = "shadow"
    """They are recorded beside the results of another model, and never shown."""


class ModelInfo(_Message):
    """What a worker has to know of a model that is loaded."""

    role: ModelRole
    name: str
    version: str
    digest: str
    label: str
    finding: str
    intended_use: str
    thresholds: Thresholds
    image: ImageSpec
    runtime: str
    """Machine-readable name of what computes it."""
    runtime_detail: str
    """Library, device and precision."""


class Catalogue(_Message):
    """All models that are loaded, in the order in which they are asked whether an image is theirs."""

    models: tuple[ModelInfo, ...]
    max_batch_size: int


class ImageResult(_Message):
    """The model's answer for one image."""

    outcome: Literal["scored"] = "scored"
    digest: str
    runtime: str
    """What computed it. Of several servers behind one address, and of one before and after a restart, each may have
    chosen another."""
    runtime_detail: str
    logit: float
    probability_raw: float
    probability: float
    cam_shape: tuple[int, int]
    cam_base64: str
    """float32, little-endian, row by row."""
    model_s: float
    """Seconds that the batch took."""
    batch_size: int

    @staticmethod
    def encode_cam(cam_yx: npt.NDArray[np.float32]) -> str:
        """A map as `cam_base64`."""
        return base64.b64encode(cam_yx.astype("<f4").tobytes()).decode("ascii")

    def cam_yx(self) -> npt.NDArray[np.float32]:
        """The Grad-CAM map over the whole square input.

        Raises:
            ValueError: the bytes do not fill the shape.
        """
        return np.frombuffer(base64.b64decode(self.cam_base64), "<f4").astype(np.float32).reshape(self.cam_shape)


class ImageError(_Message):
    """Why one image got no answer; the other images of its batch did."""

    outcome: Literal["failed"] = "failed"
    reason: str
    detail: str


ImageAnswer = Annotated[ImageResult | ImageError, Field(discriminator="outcome")]
IMAGE_ANSWER: Final[TypeAdapter[ImageResult | ImageError]] = TypeAdapter(ImageAnswer)


def encode_image(image_cyx: npt.NDArray[np.uint8]) -> bytes:
    """An image as the body of a request."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, image_cyx, allow_pickle=False)
    return stream.getvalue()


def decode_image(body: bytes) -> npt.NDArray[np.uint8]:
    """The image in the body of a request.

    Raises:
        ValueError: not a `.npy` file of uint8 with three axes whose size is what its header says.
    """
    stream = io.BytesIO(body)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError("only .npy version 1.0 is read")
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=_MAX_NPY_HEADER)
    if dtype != np.uint8 or len(shape) != 3 or by_columns:
        raise ValueError("not an array of uint8 with three axes in C order")
    return np.frombuffer(body, np.uint8, offset=stream.tell()).reshape(shape)
