"""What the handlers need of the world."""

from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import numpy as np
import numpy.typing as npt

from inference_service.bundles.image_spec import ImageSpec
from inference_service.imaging import PreparedFrame
from inference_service.urgent_first import UrgentFirst
from inference_service.wire import Catalogue, ImageResult
from radrelay_shared.events import Event, Urgency
from radrelay_shared.objects import ObjectStore


class ModelChanged(Exception):
    """The image was prepared for a model that is no longer loaded: ask what is and prepare it again."""


class ModelFault(Exception):
    """The model refused this image, now and later, and why."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class Model(Protocol):
    """The model server."""

    async def catalogue(self) -> Catalogue:
        """What is loaded; waits while the server is away."""

    async def screen(self, image_cyx: npt.NDArray[np.uint8], digest: str) -> ImageResult:
        """Score one image; waits while the server is away or overloaded.

        Raises:
            ModelChanged: no model with `digest` is loaded.
            ModelFault: the model has no answer for this image.
        """


class Imaging(Protocol):
    """Work on pixels, away from the event loop; the most urgent of what waits comes first."""

    async def prepare(
        self, content: bytes, spec: ImageSpec, *, urgency: Urgency = Urgency.ROUTINE
    ) -> tuple[PreparedFrame, ...]:
        """See `imaging.prepare_frames`.

        Raises:
            Refusal: the image cannot or must not be screened, or decoding it crashes or hangs.
        """


class EventPublisher(Protocol):
    """Announces events; returns when they are stored."""

    async def publish(self, event: Event[Any]) -> None:
        """Publish one event."""


class Cancellations(Protocol):
    """Knows what nobody waits for any more."""

    async def holds(self, tenant: str, instance_id: UUID, submission: int) -> bool:
        """Whether this submission of the image was cancelled."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything a handler uses."""

    objects: ObjectStore
    model: Model
    imaging: Imaging
    events: EventPublisher
    cancellations: Cancellations
    room: UrgentFirst
    """How many DICOM files may be in memory at once."""
