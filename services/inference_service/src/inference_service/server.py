"""The model server: `BENTOML_DO_NOT_TRACK=True bentoml serve inference_service.server:Screening --host ... --port ...`.

BentoML gathers single requests into batches (`batchable=True`). A request carries one image as the raw bytes of a
`.npy` file, read by a descriptor of our own; see `wire` for the contract.
"""

import logging
import multiprocessing
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, Self

import bentoml
import numpy as np
import numpy.typing as npt
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml.exceptions import BadInput
from opentelemetry.semconv.attributes.http_attributes import HTTP_ROUTE
from opentelemetry.trace import SpanContext, get_current_span, get_tracer_provider
from opentelemetry.util.http import parse_excluded_urls
from starlette.requests import Request
from starlette.responses import Response

from inference_service import wire
from inference_service.batching import never_hold_requests
from inference_service.bundles import Bundle, BundleError, load_bundle
from inference_service.engine.choice import RuntimeRefused
from inference_service.engine.screening import ImageFault, ImageScore, ScreeningEngine, verify_start
from inference_service.serving_metrics import BATCH_IMAGES, BATCH_S, COLD_START_S
from inference_service.settings import BatchingSettings, ServerSettings
from radrelay_shared.observability import configure, get_tracer, use_stable_http_conventions, work_for

_BATCHING: Final = BatchingSettings()
_MAX_BODY_BYTES: Final = 64 * 1024 * 1024
PROCESS: Final = "model-server"

_tracer = get_tracer(__name__)

# BentoML would record spans of its own, which nobody gets, as parents of ours; so they go where ours go.
BentoMLContainer.tracer_provider.set(get_tracer_provider())
BentoMLContainer.tracing_excluded_urls.set(parse_excluded_urls("livez,readyz,healthz,metrics"))
use_stable_http_conventions()


@dataclass(frozen=True, slots=True)
class Submission:
    """One image as it came in."""

    image_cyx: npt.NDArray[np.uint8]
    digest: str
    """Of the model that it was prepared for."""
    span: SpanContext
    """Of its request."""


class ImageUpload(bentoml.IODescriptor):  # type: ignore[misc]  # BentoML leaves it untyped
    """Reads a request body as `wire.decode_image` has it.

    Measured with 3 x 380 x 380 uint8 (433 kB) on 2 cores, client and server together, one request at a time and nothing
    to compute: these raw bytes 2.7 ms a request; a multipart file, which BentoML writes to disk, 4.8 ms; a pydantic
    model with base64 6.8 ms; `np.ndarray`, which travels as JSON numbers, 65 ms. BentoML's fast encoding is pickle,
    which its public port refuses, and rightly.
    """

    images: list[Any]
    """One `Submission`; a list is what BentoML joins into batches."""

    @classmethod
    async def from_http_request(cls, request: Request, _serde: object) -> Self:
        """Read the one image of a request.

        Raises:
            BadInput: the body is too large or is no image.
        """
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_BODY_BYTES:
                raise BadInput(f"the body is larger than {_MAX_BODY_BYTES} bytes")
        try:
            image_cyx = wire.decode_image(bytes(body))
        except ValueError as error:
            raise BadInput(f"the body is no image: {error}") from error
        span = get_current_span()
        span.set_attribute(HTTP_ROUTE, wire.SCREEN_PATH)
        span.update_name(f"POST {wire.SCREEN_PATH}")
        digest = request.headers.get(wire.MODEL_DIGEST_HEADER, "")
        return cls(images=[Submission(image_cyx, digest, span.get_span_context())])


class ImageAnswer(bentoml.IODescriptor):  # type: ignore[misc]  # the same
    """Writes the one answer of a request as JSON."""

    @classmethod
    async def to_http_response(cls, obj: Any, _serde: object) -> Response:
        """The answer, which BentoML took out of its batch as a list of one."""
        return Response(wire.IMAGE_ANSWER.dump_json(obj[0]), media_type="application/json")


@bentoml.service(
    name="screening",
    workers=1,
    traffic={"timeout": _BATCHING.max_latency_ms / 1000 + 30},
    logging={"access": {"enabled": False}},
)
class Screening:
    """Holds models, warmed up before the port answers, and screens batches of images with them."""

    def __init__(self) -> None:
        started = perf_counter()
        settings = ServerSettings()
        configure(PROCESS, settings.observability)
        _log_as_we_do("bentoml")
        never_hold_requests()
        self._engines: dict[str, ScreeningEngine] = {}
        models = []
        for role, bundle in load_bundles(settings):
            engine = ScreeningEngine.from_bundle(bundle, device=settings.device, runtime=settings.runtime)
            engine.warm_up(bundle, max_batch_size=_BATCHING.max_batch_size)
            self._engines[bundle.digest] = engine
            models.append(describe(bundle, role, engine))
        self._catalogue = wire.Catalogue(models=tuple(models), max_batch_size=_BATCHING.max_batch_size)
        COLD_START_S.observe(perf_counter() - started)

    @bentoml.on_deployment  # type: ignore[untyped-decorator]  # the same
    @staticmethod
    def verify_bundles() -> None:
        """Try bundles and runtime before any process is started, so that a fault ends the command with its message.

        In a process of its own: what it takes, a gigabyte, is then not held by the command for as long as it runs.
        """
        trial = multiprocessing.get_context("fork").Process(target=_verify_or_exit)
        trial.start()
        trial.join()
        if trial.exitcode:
            sys.exit(1)

    @bentoml.api(route=wire.MODELS_PATH)  # type: ignore[untyped-decorator]  # the same
    def models(self) -> wire.Catalogue:
        """What is loaded, and how images have to be prepared for it."""
        return self._catalogue

    @bentoml.api(  # type: ignore[untyped-decorator]  # the same
        route=wire.SCREEN_PATH,
        input_spec=ImageUpload,
        output_spec=ImageAnswer,
        batchable=True,
        max_batch_size=_BATCHING.max_batch_size,
        max_latency_ms=_BATCHING.max_latency_ms,
    )
    def screen(self, images: list[Submission]) -> list[wire.ImageResult | wire.ImageError]:
        """One answer for each image; one that cannot be screened does not touch its neighbours."""
        stale = wire.ImageError(reason=wire.MODEL_CHANGED, detail="no model of this digest is loaded")
        answers: list[wire.ImageResult | wire.ImageError] = [stale] * len(images)
        for digest, engine in self._engines.items():
            own = [index for index, image in enumerate(images) if image.digest == digest]
            if not own:
                continue
            outcomes, batch_s = _screen_batch(engine, [images[index] for index in own])
            for index, outcome in zip(own, outcomes, strict=True):
                answers[index] = _answer(outcome, engine, digest=digest, batch_s=batch_s, batch_size=len(own))
        return answers


def _screen_batch(
    engine: ScreeningEngine, images: Sequence[Submission]
) -> tuple[Sequence[ImageScore | ImageFault], float]:
    """The outcomes, and how long they took."""
    with work_for([image.span for image in images], _tracer, "screen batch", size="radrelay.batch.size"):
        started = perf_counter()
        outcomes = engine.screen([image.image_cyx for image in images])
        batch_s = perf_counter() - started
    BATCH_S.observe(batch_s)
    BATCH_IMAGES.observe(len(images))
    return outcomes, batch_s


def _verify_or_exit() -> None:
    settings = ServerSettings()
    try:
        for _, bundle in load_bundles(settings):
            verify_start(bundle, device=settings.device, runtime=settings.runtime)
    except BundleError as error:
        sys.exit(f"The model bundle cannot be served. {error}")
    except RuntimeRefused as error:
        asked = f"device {settings.device}, runtime {settings.runtime}"
        sys.exit(f"The model bundle {bundle.directory} cannot be served as asked ({asked}). {error}")


def load_bundles(settings: ServerSettings) -> list[tuple[wire.ModelRole, Bundle]]:
    """The bundles that the settings name, verified, in the order in which they are asked whether an image is theirs.

    Raises:
        BundleError: one of them is broken, or is there twice.
    """
    named = [(wire.ModelRole.ACTIVE, path) for path in settings.bundle_dirs]
    named += [(wire.ModelRole.SHADOW, path) for path in settings.shadow_bundle_dirs]
    loaded: dict[str, tuple[wire.ModelRole, Bundle]] = {}
    for role, path in named:
        bundle = load_bundle(path)
        if bundle.digest in loaded:
            other_role, other = loaded[bundle.digest]
            raise BundleError(path, f"is the bundle in {other.directory}, which is served as {other_role} already")
        loaded[bundle.digest] = (role, bundle)
    return list(loaded.values())


def describe(bundle: Bundle, role: wire.ModelRole, engine: ScreeningEngine) -> wire.ModelInfo:
    """What a worker has to know of a bundle."""
    manifest = bundle.manifest
    return wire.ModelInfo(
        role=role,
        name=manifest.name,
        version=manifest.version,
        digest=bundle.digest,
        label=manifest.label,
        finding=manifest.finding,
        intended_use=manifest.intended_use,
        thresholds=manifest.thresholds,
        image=manifest.image,
        runtime=engine.runtime_name,
        runtime_detail=engine.runtime_description,
    )


def _answer(
    outcome: ImageScore | ImageFault, engine: ScreeningEngine, *, digest: str, batch_s: float, batch_size: int
) -> wire.ImageResult | wire.ImageError:
    if isinstance(outcome, ImageFault):
        return wire.ImageError(reason=outcome.reason, detail=outcome.detail)
    rows, columns = outcome.cam_yx.shape
    return wire.ImageResult(
        digest=digest,
        runtime=engine.runtime_name,
        runtime_detail=engine.runtime_description,
        logit=outcome.logit,
        probability_raw=outcome.probability_raw,
        probability=outcome.probability,
        cam_shape=(rows, columns),
        cam_base64=wire.ImageResult.encode_cam(outcome.cam_yx),
        model_s=batch_s,
        batch_size=batch_size,
    )


def _log_as_we_do(name: str) -> None:
    """Send a library's records, which it formats itself, through the handlers of this process."""
    logger = logging.getLogger(name)
    logger.handlers = []
    logger.propagate = True
