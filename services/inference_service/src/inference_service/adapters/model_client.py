"""The model server over HTTP: keep-alive, bounded, and patient while the server is away."""

import asyncio
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

import aiohttp
import numpy as np
import numpy.typing as npt
from opentelemetry import propagate
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_METHOD,
    HTTP_REQUEST_RESEND_COUNT,
    HTTP_RESPONSE_STATUS_CODE,
)
from opentelemetry.trace import Span, SpanContext, SpanKind, get_current_span
from opentelemetry.util.types import AttributeValue

from inference_service import wire
from inference_service.metrics import MODEL_IN_FLIGHT, MODEL_RETRIES
from inference_service.ports import ModelChanged, ModelFault
from radrelay_shared.observability import get_tracer, links_to

_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 5.0
_MAX_BROKEN_CALLS: Final = 3
_AWAY: Final = frozenset({429, 502, 503, 504})

_log = logging.getLogger(__name__)
_tracer = get_tracer(__name__)


@contextmanager
def _attempt(path: str, resends: int, before: SpanContext | None) -> Iterator[Span]:
    """The span of one attempt at a call; a repeated one is linked to the one before."""
    attributes: dict[str, AttributeValue] = {HTTP_REQUEST_METHOD: "POST"}
    if resends:
        attributes[HTTP_REQUEST_RESEND_COUNT] = resends
    links = links_to([before] if before else [])
    with _tracer.start_as_current_span(
        f"POST {path}", kind=SpanKind.CLIENT, attributes=attributes, links=links
    ) as span:
        yield span


class ModelAway(ConnectionError):
    """The model server is away or overloaded, and there is no more time to wait for it."""


class ModelClient:
    """The `Model` port on a BentoML server; use as an async context manager.

    A server that is away (refused, 503) is asked again with backoff for as long as the worker runs: the delivery's
    heartbeat goes on meanwhile, so waiting costs no attempt. A call that breaks off after it was sent may have been
    the image's own doing and is made only a few times.
    """

    def __init__(self, base_url: str, *, stop: asyncio.Event, timeout_s: float = 120.0) -> None:
        """Nothing is opened before the first call.

        Args:
            base_url: of the model server.
            stop: once set, nobody waits any longer for a server that is away.
            timeout_s: for one answer.
        """
        self._base_url = base_url
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=5.0)
        self._stop = stop
        self._catalogue: wire.Catalogue | None = None

    async def __aenter__(self) -> Self:
        # A connection is given up before the server closes it, which it does after 5 s.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0)
        self._http = aiohttp.ClientSession(self._base_url, connector=connector, timeout=self._timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def ready(self) -> None:
        """Raise when the server does not answer or its model is not loaded."""
        async with self._http.get("/readyz", timeout=aiohttp.ClientTimeout(total=2.0), raise_for_status=True):
            pass

    async def catalogue(self) -> wire.Catalogue:
        """What is loaded, asked for once and again after a `ModelChanged`.

        Raises:
            ModelAway: the worker is stopping and the server does not answer.
        """
        if self._catalogue is None:
            answer = await self._call(wire.MODELS_PATH, b"{}", {"Content-Type": "application/json"})
            self._catalogue = wire.Catalogue.model_validate_json(answer)
            for model in self._catalogue.models:
                loaded = {"digest": model.digest, "role": model.role, "runtime": model.runtime}
                _log.info("model server", extra=loaded)
        return self._catalogue

    async def screen(self, image_cyx: npt.NDArray[np.uint8], digest: str) -> wire.ImageResult:
        """Score one image; see `ports.Model`.

        Raises:
            ModelChanged: that model is not loaded.
            ModelFault: the model has no answer for this image.
            ModelAway: the worker is stopping and the server does not answer.
            aiohttp.ClientError, TimeoutError: the server failed on this call, or broke it off several times.
        """
        headers = {"Content-Type": wire.IMAGE_MEDIA_TYPE, wire.MODEL_DIGEST_HEADER: digest}
        with MODEL_IN_FLIGHT.track_inprogress():
            content = await self._call(wire.SCREEN_PATH, wire.encode_image(image_cyx), headers)
        answer = wire.IMAGE_ANSWER.validate_json(content)
        if isinstance(answer, wire.ImageResult):
            return answer
        if answer.reason == wire.MODEL_CHANGED:
            self._catalogue = None
            raise ModelChanged
        raise ModelFault(f"model_{answer.reason}", answer.detail)

    async def _call(self, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        wait_s, broken, resends = _FIRST_WAIT_S, 0, 0
        before: SpanContext | None = None
        while True:
            try:
                with _attempt(path, resends, before) as span:
                    before = span.get_span_context()
                    answer = await self._post(path, body, headers)
                if answer is not None:
                    return answer
                cause = "overloaded"
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
                cause = "unreachable"
            except aiohttp.ClientResponseError:
                raise
            except (aiohttp.ClientError, TimeoutError):
                broken += 1
                if broken >= _MAX_BROKEN_CALLS:
                    raise
                cause = "broken"
            MODEL_RETRIES.labels(cause).inc()
            await self._wait(wait_s * (0.5 + random.random() / 2))  # noqa: S311  # jitter, not a secret
            wait_s, resends = min(wait_s * 2, _LONGEST_WAIT_S), resends + 1

    async def _post(self, path: str, body: bytes, headers: dict[str, str]) -> bytes | None:
        """The answer; None where the server has no room."""
        sent = dict(headers)
        propagate.inject(sent)
        async with self._http.post(path, data=body, headers=sent) as response:
            get_current_span().set_attribute(HTTP_RESPONSE_STATUS_CODE, response.status)
            if response.status in _AWAY:
                return None
            response.raise_for_status()
            return await response.read()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return
        raise ModelAway("the model server does not answer and the worker is stopping")
