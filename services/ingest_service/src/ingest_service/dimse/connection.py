"""One connection of a peer, from its association request to the end, in a thread of its own.

pynetdicom calls the `_on_` methods in the association's threads; whatever touches a store runs in the event loop.
"""

import asyncio
import logging
import shutil
import socket
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar, cast

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.transport import AssociationSocket, RequestHandler

from ingest_service import metrics
from ingest_service.adapters.outages import is_outage
from ingest_service.dimse.data_set import DataSetFile, SpoolingProvider
from ingest_service.dimse.delivery import Delivery
from ingest_service.dimse.settings import DimseSettings, Peer
from ingest_service.domain.failures import FAILURE_REASONS, NOT_AUTHORIZED, FailureReason
from ingest_service.domain.identity import SopReference
from ingest_service.domain.model import Accepted, Outcome
from ingest_service.domain.reasons import Refusal, RejectReason
from ingest_service.ports import Intake
from radrelay_shared.http import Forbidden
from radrelay_shared.observability import get_tracer

T = TypeVar("T")

LARGEST_REQUEST_BYTES: Final = 1 << 20
"""An association request with 128 presentation contexts and all transfer syntaxes is a tenth of it."""
_RECEIVE_BYTES: Final = 64 * 1024
SUCCESS: Final = 0x0000
"""Status of a C-STORE-RSP (PS3.7 section C.1.1)."""

_log = logging.getLogger(__name__)
_tracer = get_tracer(__name__)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Result, source and diagnostic of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    result: int
    source: int
    diagnostic: int
    name: str


CALLING_UNKNOWN: Final = Rejection(1, 1, 3, "calling_ae_title_not_recognised")
CALLED_UNKNOWN: Final = Rejection(1, 1, 7, "called_ae_title_not_recognised")
CONGESTION: Final = Rejection(2, 3, 1, "temporary_congestion")


@dataclass(frozen=True, slots=True)
class Site:
    """What connections share."""

    settings: DimseSettings
    intake: Intake
    slots: asyncio.Semaphore
    loop: asyncio.AbstractEventLoop
    max_file_bytes: int

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work`, which bounds its own time, in the event loop, and wait for its end in this thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()


def admit(settings: DimseSettings, calling_ae: str, called_ae: str) -> Peer | Rejection:
    """The peer with these AE titles, or why there is none."""
    peers = settings.peers_by_titles()
    peer = peers.get((calling_ae, called_ae))
    if peer is not None:
        return peer
    known = any(calling == calling_ae for calling, _ in peers)
    return CALLED_UNKNOWN if known else CALLING_UNKNOWN


class Connection(RequestHandler):
    """A connection; the server makes one for each and runs `handle` in a thread of its own."""

    _delivery: Delivery | None = None

    def handle(self) -> None:
        """Serve the association to its end, and close its batch."""
        site: Site = cast("Any", self.server).site
        self._site = site
        folder = site.intake.new_path()
        folder.mkdir()
        association = self._create_association()
        provider = SpoolingProvider(association, folder, site.max_file_bytes)
        association.dimse = provider
        self._bound_reading(cast("AssociationSocket", association.dul.socket))
        association.bind(evt.EVT_REQUESTED, self._on_requested)
        association.bind(evt.EVT_CONN_CLOSE, _wake)
        try:
            association.start()
            association.join()
        finally:
            self.server.shutdown_request(self.request)  # the library leaves it open where the peer was faster
            provider.close()
            shutil.rmtree(folder, ignore_errors=True)
            if self._delivery is not None:
                site.call(self._delivery.end())

    def _bound_reading(self, connection: AssociationSocket) -> None:
        settings = self._site.settings
        limit = max(settings.max_pdu_bytes, LARGEST_REQUEST_BYTES)
        connection.recv = partial(receive_bounded, self.request, limit, settings.network_timeout_s)  # type: ignore[method-assign]  # the library makes the object itself

    def _on_requested(self, event: evt.Event) -> None:
        """An association request came: reject it here, or leave it to the negotiation."""
        request = cast("A_ASSOCIATE", event.assoc.requestor.primitive)
        calling_ae, called_ae = request.calling_ae_title.strip(), request.called_ae_title.strip()
        draining = cast("Any", self.server).draining
        answer = CONGESTION if draining else admit(self._site.settings, calling_ae, called_ae)
        if isinstance(answer, Peer):
            timeout_s = self._site.settings.dimse_timeout_s
            self._delivery = Delivery(self._site.intake, self._site.slots, answer, timeout_s=timeout_s)
            event.assoc.bind(evt.EVT_C_STORE, self._on_c_store, [self._delivery])
            return
        metrics.ASSOCIATIONS_REJECTED.labels(answer.name).inc()
        _log.warning(
            "association rejected",
            extra={"diagnostic": answer.name, "calling_ae": calling_ae, "called_ae": called_ae},
        )
        event.assoc.acse.send_reject(answer.result, answer.source, answer.diagnostic)
        event.assoc.kill()  # waits until the answer is sent; after this the library closes the connection at once

    def _on_c_store(self, event: evt.Event, delivery: Delivery) -> Dataset:
        """An image is on disk: answer when it is durable, or say why it will not be."""
        request = cast("C_STORE", event.request)
        data_set = cast("DataSetFile", request.DataSet)
        sop = SopReference(str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))
        try:
            with _tracer.start_as_current_span("dimse.c_store"):
                if sop.class_uid == event.context.abstract_syntax:
                    status, comment = self._take(delivery, data_set, sop)
                else:
                    status, comment = FailureReason.SOP_CLASS_NOT_SUPPORTED, None
        finally:
            data_set.discard()
        metrics.BYTES_RECEIVED.inc(data_set.size_bytes)
        metrics.C_STORES.labels(f"0x{status:04X}").inc()
        answer = Dataset()
        answer.Status = int(status)
        if comment is not None:
            answer.ErrorComment = comment
        return answer

    def _take(self, delivery: Delivery, data_set: DataSetFile, sop: SopReference) -> tuple[int, str | None]:
        """Status and error comment of the answer."""
        try:
            file = data_set.finish(sop.instance_uid)
            if data_set.over_limit:
                detail = f"{data_set.size_bytes} bytes, more than {self._site.max_file_bytes}"
                outcome = self._site.call(delivery.refuse(file, Refusal(RejectReason.TOO_LARGE, detail)))
            else:
                outcome = self._site.call(delivery.store(file, sop))
        except Exception as error:  # noqa: BLE001  # the end of the line: the peer gets an answer whatever happened
            return _status_of_failure(error)
        return _status_of_outcome(outcome)


def _status_of_outcome(outcome: Outcome) -> tuple[int, str | None]:
    if isinstance(outcome, Accepted):
        return SUCCESS, None
    return FAILURE_REASONS[outcome.reason], outcome.reason.value


def _status_of_failure(error: Exception) -> tuple[int, str]:
    if is_outage(error):
        _log.warning("an image could not be stored", extra={"error": type(error).__name__})
        return FailureReason.OUT_OF_RESOURCES, "storage_unavailable"
    if isinstance(error, Forbidden):
        return NOT_AUTHORIZED, error.code
    _log.error("an image could not be taken in", exc_info=error)
    return FailureReason.PROCESSING_FAILURE, "internal_error"


def _wake(event: evt.Event) -> None:
    """Let an association end whose peer went away before it asked for one; it would wait for the request in vain."""
    if event.assoc.requestor.primitive is None:
        event.assoc.dul.to_user_queue.put(cast("Any", None))


def receive_bounded(connection: socket.socket, limit_bytes: int, timeout_s: float, wanted_bytes: int) -> bytearray:
    """Read a part of a PDU; what the library does without any bound on length and time.

    Raises:
        OSError: the PDU is longer than allowed, or does not come in time.
    """
    if wanted_bytes > limit_bytes:
        raise ConnectionAbortedError(f"a PDU of {wanted_bytes} bytes")
    received = bytearray()
    deadline = time.monotonic() + timeout_s
    while len(received) < wanted_bytes:
        if time.monotonic() > deadline:
            raise TimeoutError("a PDU that does not come to its end")
        chunk = connection.recv(min(wanted_bytes - len(received), _RECEIVE_BYTES))
        if not chunk:
            break
        received += chunk
    return received
