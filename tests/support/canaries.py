"""Values that stand for what names a patient: each is in one place only, so that a find says where it was."""

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from pydicom import dcmread
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.uid import UID

_TEXT: Final = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
_READ_BY_THE_PRODUCT: Final = {
    # Codes that an image is accepted, prepared and selected by; events carry the first two.
    *("Modality", "BodyPartExamined", "SpecificCharacterSet", "PhotometricInterpretation", "PresentationLUTShape"),
    *("VOILUTFunction", "RescaleType", "PixelPresentation", "VolumetricProperties", "BurnedInAnnotation"),
}


def _is_in(value: str, content: bytes) -> bool:
    """Whether it is there as it is, or at the beginning of what is in Base64."""
    return value.encode() in content or base64.b64encode(value[:12].encode()) in content


def _run() -> str:
    return uuid4().hex[:4].upper()


@dataclass
class Canaries:
    """Makes canaries, and knows where each was put."""

    run: str = field(default_factory=_run)
    places: dict[str, str] = field(default_factory=dict)

    def put(self, place: str) -> str:
        """A new canary: 13 capital letters and digits, which every text of DICOM takes."""
        value = f"QZ{self.run}X{len(self.places):04d}QZ"
        self.places[value] = place
        return value

    def put_number(self, place: str, value: str) -> str:
        """One that is no text."""
        self.places[value] = place
        return value

    def found_in(self, sinks: Mapping[str, Iterable[bytes]]) -> set[tuple[str, str]]:
        """Sinks, and the places of the canaries that are in them."""
        start = f"QZ{self.run}X"
        numbers = {each.encode() for each in self.places if not each.startswith(start)}
        marks = {start.encode(), base64.b64encode(start[:6].encode()), *numbers}
        found = set()
        for sink, contents in sinks.items():
            for content in contents:
                # Most of what a sink holds has no canary at all.
                if any(mark in content for mark in marks):
                    found |= {(sink, place) for value, place in self.places.items() if _is_in(value, content)}
        return found


def fill(canaries: Canaries, dicom: bytes) -> bytes:
    """The file with a canary in every text, also in sequences, private elements, preamble and file meta information."""
    dataset = dcmread(io.BytesIO(dicom))
    _fill_texts(canaries, dataset, "")
    dataset.PatientBirthDate = canaries.put_number("PatientBirthDate", "18471203")
    dataset.PatientWeight = canaries.put_number("PatientWeight", "61.7351962")
    dataset.FrameOfReferenceUID = UID(canaries.put_number("FrameOfReferenceUID", f"2.25.{uuid4().int}"))
    inner, innermost = Dataset(), Dataset()
    _fill_texts(canaries, inner, "sequence: ")
    _fill_texts(canaries, innermost, "sequence in a sequence: ")
    inner.RequestAttributesSequence = [innermost]
    dataset.OtherPatientIDsSequence = [inner]
    dataset.OriginalAttributesSequence = [inner]
    dataset.private_block(0x0013, canaries.put("private creator"), create=True).add_new(0x01, "SQ", [inner])
    dataset.file_meta.SourceApplicationEntityTitle = canaries.put("file meta information")
    dataset.preamble = canaries.put("preamble").encode().ljust(128, b"\0")
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _fill_texts(canaries: Canaries, dataset: Dataset, where: str) -> None:
    for tag, (vr, *_, keyword) in DicomDictionary.items():
        if vr in _TEXT and tag >> 16 >= 8 and keyword not in _READ_BY_THE_PRODUCT:
            dataset.add_new(tag, vr, canaries.put(f"{where}{vr} {keyword}"))
    block = dataset.private_block(0x0011, canaries.put(f"{where}private creator"), create=True)
    block.add_new(0x01, "LO", canaries.put(f"{where}private LO"))
    block.add_new(0x02, "UN", canaries.put(f"{where}private UN").encode() + b"\0")
