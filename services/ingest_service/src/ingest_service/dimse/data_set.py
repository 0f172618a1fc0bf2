"""Takes data sets from the network onto the disk as they arrive: no image is ever whole in memory.

What is written is a Part 10 file (PS3.10 section 7.1) whose data set is, byte for byte, what the peer sent.
"""

import hashlib
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast
from uuid import uuid4

from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dsutils import encode_file_meta
from pynetdicom.pdu_primitives import P_DATA

from ingest_service.domain.dicom import PREFIX, PREFIX_OFFSET
from ingest_service.domain.names import display_name
from ingest_service.handlers.intake import SpooledFile

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

IMPLEMENTATION_CLASS_UID: Final = UID("2.25.216674472553460175350010957194982976560")
IMPLEMENTATION_VERSION_NAME: Final = "RADRELAY"
"""Both go into every file. They never change: the same data set sent again must give the same bytes."""

_COMMAND_MAX_BYTES: Final = 16 * 1024
_COMMAND: Final = 0x01
"""Bit of a fragment's message control header (PS3.8 section E.2)."""
_INVALID_PDU: Final = "Evt19"
"""Event of the upper layer's state machine (PS3.8 table 9-10) that aborts the association."""

_log = logging.getLogger(__name__)


def file_header(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble, prefix and file meta information (PS3.10 section 7.1) of a file with this data set."""
    meta = FileMetaDataset()
    meta.FileMetaInformationGroupLength = 0
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return bytes(PREFIX_OFFSET) + PREFIX + encode_file_meta(meta)


class DataSetFile(BytesIO):
    """What the library takes for the memory that a data set goes to; it goes to a file, and is hashed on the way.

    The network thread writes while the association's thread may let go of it: nothing is open or on disk after that.
    """

    def __init__(self, path: Path, header: Callable[[], bytes], max_bytes: int) -> None:
        """`header` gives the first bytes of the file; it is asked when the data set begins."""
        super().__init__()
        self._path = path
        self._header = header
        self._max_bytes = max_bytes
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()
        self.discarded = False
        """Whether it was let go."""
        self._digest = hashlib.sha256()
        self.size_bytes = 0
        self.failure: OSError | None = None
        """What the disk said, if it did not take all; the rest of the data set is then let go."""

    @property
    def over_limit(self) -> bool:
        """Whether more came than is allowed; nothing is kept on disk then."""
        return self.size_bytes > self._max_bytes

    def write(self, data: "ReadableBuffer") -> int:
        """Append a fragment."""
        if self.size_bytes == 0:
            self._append(self._header())
        return self._append(data)

    def _append(self, data: "ReadableBuffer") -> int:
        length = memoryview(data).nbytes
        self.size_bytes += length
        self._digest.update(data)
        if self.over_limit or self.failure is not None:
            self.discard()
            return length
        with self._lock:
            if self.discarded:
                return length
            try:
                if self._file is None:
                    self._file = self._path.open("xb")
                self._file.write(data)
            except OSError as error:
                self.failure = error
        return length

    def finish(self, name: str) -> SpooledFile:
        """The whole file, called `name`.

        Raises:
            OSError: the disk did not take it.
        """
        if self.size_bytes == 0:
            self.write(b"")
        try:
            if self._file is not None:
                self._file.close()
        except OSError as error:
            self.failure = self.failure or error
        if self.failure is not None:
            raise self.failure
        return SpooledFile(display_name(name), self._path, self.size_bytes, self._digest.hexdigest())

    def discard(self) -> None:
        """Remove the file, if there is one; what is written later goes nowhere."""
        with self._lock:
            self.discarded = True
            if self._file is not None:
                with suppress(OSError):  # a full disk may not take what is still to be written; it goes anyway
                    self._file.close()
                self._path.unlink(missing_ok=True)
                self._file = None


class SpoolingProvider(DIMSEServiceProvider):
    """The library's DIMSE provider with data sets on disk, and with bounds on what a peer may send.

    A peer that sends more than one request at a time, an endless command or an endless data set is aborted.
    """

    def __init__(self, association: Association, folder: Path, max_bytes: int) -> None:
        """Files go to `folder`, with at most `max_bytes` each."""
        super().__init__(association)
        self._folder = folder
        self._max_bytes = max_bytes
        self._command_bytes = 0
        self._data_sets: list[DataSetFile] = []

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take the next fragments from the network; called in the association's network thread."""
        if self.message is None:
            if not self.msg_queue.empty():
                self._abort("more than one request at a time")
                return
            self.message = DIMSEMessage()
            self.message.data_set = DataSetFile(self._folder / uuid4().hex, self._file_header, self._max_bytes)
            self._data_sets = [*(known for known in self._data_sets if not known.discarded), self.message.data_set]
            self._command_bytes = 0
        self._command_bytes += sum(
            len(fragment) for _, fragment in primitive.presentation_data_value_list if fragment[0] & _COMMAND
        )
        data_set = self.message.data_set
        if self._command_bytes > _COMMAND_MAX_BYTES:
            self._abort("an endless command")
        elif isinstance(data_set, DataSetFile) and data_set.size_bytes > 2 * self._max_bytes:
            self._abort("an endless data set")
        else:
            super().receive_primitive(primitive)

    def close(self) -> None:
        """Let go of a data set that was cut off, or that came whole when nobody listened any more."""
        for data_set in self._data_sets:
            data_set.discard()

    def _file_header(self) -> bytes:
        message = cast("DIMSEMessage", self.message)
        command: Any = message.command_set
        syntaxes = {context.context_id: context.transfer_syntax[0] for context in self.assoc.accepted_contexts}
        return file_header(
            str(command.get("AffectedSOPClassUID", "")),
            str(command.get("AffectedSOPInstanceUID", "")),
            syntaxes.get(message.context_id, ""),
        )

    def _abort(self, cause: str) -> None:
        _log.warning("association aborted", extra={"cause": cause})
        self.dul.event_queue.put(_INVALID_PDU)
