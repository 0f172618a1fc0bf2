"""Walks the elements of one data set in memory that does not grow with it.

Only the few elements that are looked at are kept. Sequences of undefined length are passed item by item and not built:
one of 10,000 frames takes no more memory than one of two, and nesting takes no recursion. Sequences and items of
defined length are passed unread.
Source: DICOM PS3.5 sections 7.1 and 7.5.
"""

import struct
from collections.abc import Callable
from typing import BinaryIO, Final

from pydicom.dataelem import RawDataElement
from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag

from ingest_service.domain.attributes import WANTED
from ingest_service.domain.limits import DicomLimits
from ingest_service.domain.pixel_data import UNDEFINED_LENGTH, PixelElement
from ingest_service.domain.reasons import Refusal, RejectReason

_ITEM: Final = (0xFFFE, 0xE000)
_ITEM_DELIMITATION: Final = (0xFFFE, 0xE00D)
_SEQUENCE_DELIMITATION: Final = (0xFFFE, 0xE0DD)
_HEADER_BYTES: Final = 8

StopAt = Callable[[int], bool]


class Scan:
    """One walk over the data set in `file`, of `size` bytes, from where it is positioned."""

    def __init__(
        self, file: BinaryIO, size: int, *, implicit: bool, little_endian: bool, limits: DicomLimits, where: str
    ) -> None:
        self._file = file
        self._size = size
        self._implicit = implicit
        self._little_endian = little_endian
        self._limits = limits
        self._where = where
        self.found: dict[int, RawDataElement] = {}

    def run(self, stop_at: StopAt) -> PixelElement | None:
        """Walk to the first element whose tag `stop_at` accepts, and describe it; None when the data set ends first.

        Raises:
            Refusal: the encoding is broken, or the file ends within an element.
        """
        try:
            while (stopped := self._walk(stop_at, implicit=self._implicit)) is not None:
                if stop_at(stopped[0]):
                    return stopped[1]
                self._pass_items(stopped[1])
        except Refusal:
            raise
        except Exception as error:  # hostile bytes reach every branch of the parser: whatever it raises, it is the file
            if not self._file.read(1):
                raise self._truncated() from error
            raise self._malformed("cannot be parsed") from error
        return None

    def _walk(self, stop_at: StopAt | None, *, implicit: bool) -> tuple[int, PixelElement] | None:
        """Walk to the first element that `stop_at` accepts, or of undefined length; leaves the file at its start.

        None when an item delimiter, or the file's end, comes first. Without `stop_at` nothing is looked for, and
        nothing kept: so within items.
        """
        stopped: list[tuple[int, PixelElement]] = []

        def stop_when(tag: BaseTag, vr: str | None, length: int) -> bool:
            if length == UNDEFINED_LENGTH or (stop_at is not None and stop_at(tag)):
                element = PixelElement(vr, length, self._file.tell(), little_endian=self._little_endian)
                stopped.append((tag, element))
            return bool(stopped)

        elements = data_element_generator(
            self._file, implicit, self._little_endian, stop_when=stop_when, defer_size=self._limits.max_value_bytes
        )
        for element in elements:
            if not isinstance(element, RawDataElement):
                raise self._malformed("a sequence where none can be")
            if element.value_tell + element.length > self._size:
                raise self._truncated()
            if stop_at is not None and element.tag in WANTED:
                self.found[element.tag] = element
        return stopped[0] if stopped else None

    def _pass_items(self, element: PixelElement) -> None:
        """Pass an element of undefined length: its items, what is nested in them, and its delimiter."""
        self._file.seek(element.value_offset)
        open_sequences = [self._implicit or element.vr == "UN"]
        while open_sequences:
            tag, length = self._item_header()
            in_item = tag == _ITEM and length == UNDEFINED_LENGTH
            if tag == _SEQUENCE_DELIMITATION:
                open_sequences.pop()
                in_item = bool(open_sequences)
            elif tag != _ITEM:
                raise self._malformed("a sequence holds something else than items")
            elif not in_item:
                self._pass(length)
            if in_item:
                nested = self._pass_item(implicit=open_sequences[-1])
                if nested is not None:
                    open_sequences.append(open_sequences[-1] or nested.vr == "UN")
            if len(open_sequences) > self._limits.max_depth:
                raise self._malformed(f"sequences are nested more than {self._limits.max_depth} deep")

    def _pass_item(self, *, implicit: bool) -> PixelElement | None:
        """Pass what is left of an item of undefined length, up to an element of undefined length, which is returned.

        An item may be encoded implicitly within an explicit data set: some writers do so.
        """
        at = self._file.tell()
        vr = self._file.read(_HEADER_BYTES)[4:6]
        self._file.seek(at)
        stopped = self._walk(None, implicit=implicit or not (vr.isalpha() and vr.isupper()))
        if stopped is not None:
            self._file.seek(stopped[1].value_offset)
            return stopped[1]
        self._file.seek(max(self._file.tell() - _HEADER_BYTES, at))
        if self._item_header()[0] != _ITEM_DELIMITATION:
            raise self._truncated()
        return None

    def _item_header(self) -> tuple[tuple[int, int], int]:
        header = self._file.read(_HEADER_BYTES)
        if len(header) < _HEADER_BYTES:
            raise self._truncated()
        group, number, length = struct.unpack("<HHL" if self._little_endian else ">HHL", header)
        return (group, number), length

    def _pass(self, length: int) -> None:
        end = self._file.tell() + length
        if end > self._size:
            raise self._truncated()
        self._file.seek(end)

    def _truncated(self) -> Refusal:
        return Refusal(RejectReason.TRUNCATED, f"{self._where}: the file ends within an element")

    def _malformed(self, what: str) -> Refusal:
        return Refusal(RejectReason.MALFORMED, f"{self._where}: {what}")
