"""The listening side: who may connect how often, what is offered, and how it ends."""

import asyncio
import logging
import socket
import ssl
from socketserver import BaseServer
from threading import Condition
from typing import Any, Final, cast

from pydicom import uid
from pynetdicom import AllStoragePresentationContexts, _config
from pynetdicom.ae import ApplicationEntity
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # the library makes its UIDs at run time
from pynetdicom.transport import ThreadedAssociationServer

from ingest_service import metrics
from ingest_service.dimse.connection import Connection, Site
from ingest_service.dimse.data_set import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from ingest_service.dimse.settings import DimseSettings, TlsSettings
from ingest_service.domain.dicom import SUPPORTED_SYNTAXES

_CONNECTIONS_PER_ASSOCIATION: Final = 2
"""So many more connections may wait to be told that there are too many; others are closed at once."""
_POLL_S: Final = 0.2
_ABORT_GRACE_S: Final = 5.0
"""What an association may take to end once it is aborted and its image has its answer."""

_PREFERRED: Final = (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian)
_LOSSY: Final = frozenset(
    {uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless, uid.JPEG2000, uid.HTJ2K}
)

_log = logging.getLogger(__name__)


def transfer_syntaxes() -> list[str | uid.UID]:
    """What validation takes, in the order in which we choose among those that a peer offers for one context.

    Uncompressed first and lossy last: a peer that offers a choice must never compress for us, nor lose anything.
    """
    rest = sorted(SUPPORTED_SYNTAXES.difference(_PREFERRED), key=lambda syntax: (syntax in _LOSSY, syntax))
    return [*_PREFERRED, *rest]


def presentation_contexts() -> list[PresentationContext]:
    """Verification and every storage SOP class."""
    syntaxes = transfer_syntaxes()
    storage = [build_context(context.abstract_syntax or "", syntaxes) for context in AllStoragePresentationContexts]
    return [build_context(Verification), *storage]


def tls_context(settings: TlsSettings) -> ssl.SSLContext:
    """TLS 1.2 or newer, for the accepting side (PS3.15 section B.9)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.certificate, settings.key)
    if settings.client_ca is not None:
        context.load_verify_locations(settings.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class Server(ThreadedAssociationServer):
    """Accepts connections on its port as soon as it is made."""

    daemon_threads = True
    """Threads are counted here instead: see `wait_until_idle`."""

    def __init__(self, site: Site) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be had, or a file of the TLS settings cannot be read.
        """
        settings = site.settings
        self.site = site
        self.draining = False
        self._connections = 0
        self._changed = Condition()
        super().__init__(
            _application_entity(settings),
            (settings.host, settings.port),
            settings.ae_title,
            presentation_contexts(),
            tls_context(settings.tls) if settings.tls else None,
            request_handler=Connection,
        )

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; the handshake of TLS comes later, in the connection's own thread."""
        connection, address = cast("socket.socket", self.socket).accept()
        connection.settimeout(self.site.settings.acse_timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.ssl_context is None:
            return connection, address
        return (
            self.ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False),
            address,
        )

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for one more connection."""
        limit = _CONNECTIONS_PER_ASSOCIATION * self.site.settings.max_associations
        if self._connections < limit:
            return True
        metrics.ASSOCIATIONS_REJECTED.labels("too_many_connections").inc()
        return False

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection to its end."""
        self._count(1)
        try:
            if isinstance(request, ssl.SSLSocket):
                request.do_handshake()
            request.settimeout(self.site.settings.network_timeout_s)
            super().process_request_thread(request, client_address)
        except OSError as error:
            _log.warning("connection failed", extra={"error": type(error).__name__})
            self.shutdown_request(request)
        finally:
            self._count(-1)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Called in the handler of whatever ended a connection that it should not have."""
        _log.exception("connection ended by a fault")

    def shutdown(self) -> None:
        """Accept nothing more; what is connected goes on."""
        self.draining = True
        BaseServer.shutdown(self)  # not the library's, which knows only servers that it has started itself

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait until no connection is left; False when the time is over before."""
        with self._changed:
            return self._changed.wait_for(lambda: self._connections == 0, timeout_s)

    def abort_all(self) -> None:
        """Abort every association. An image in hand is still taken in, but its peer hears nothing of it."""
        for association in self.active_associations:
            if association.requestor.primitive is None:
                if association.dul.socket is not None:
                    association.dul.socket.close()
            else:
                association.abort(block=False)

    def _count(self, change: int) -> None:
        with self._changed:
            self._connections += change
            metrics.CONNECTIONS.set(self._connections)
            self._changed.notify_all()


async def serve(server: Server, stop: asyncio.Event) -> None:
    """Serve until `stop`; then let associations end within the grace period, and abort the others."""
    settings = server.site.settings
    serving = asyncio.create_task(asyncio.to_thread(server.serve_forever, _POLL_S))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    await asyncio.to_thread(server.shutdown)
    await serving
    server.server_close()
    if not await asyncio.to_thread(server.wait_until_idle, settings.grace_s):
        _log.warning("associations are aborted", extra={"associations": len(server.active_associations)})
        server.abort_all()
        if not await asyncio.to_thread(server.wait_until_idle, settings.dimse_timeout_s + _ABORT_GRACE_S):
            _log.error("associations did not end")


def _application_entity(settings: DimseSettings) -> ApplicationEntity:
    _config.LOG_HANDLER_LEVEL = "none"  # it would format every PDU
    entity = ApplicationEntity(settings.ae_title)
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    entity.maximum_associations = settings.max_associations
    entity.maximum_pdu_size = settings.max_pdu_bytes
    entity.acse_timeout = settings.acse_timeout_s
    entity.dimse_timeout = settings.dimse_timeout_s
    entity.network_timeout = settings.network_timeout_s
    return entity
