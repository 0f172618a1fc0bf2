"""The Store Instances Response Module (PS3.18 section I.1), as DICOM JSON (annex F) or XML (PS3.19 section A.1)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from xml.etree import ElementTree as ET

import mimeparse
from pydicom.dataset import Dataset

from ingest_service.domain.failures import FAILURE_REASONS
from ingest_service.domain.identity import SopReference
from ingest_service.domain.model import Accepted, Rejected

DICOM_JSON: Final = "application/dicom+json"
DICOM_XML: Final = "application/dicom+xml"

_NATIVE_MODEL: Final = "http://dicom.nema.org/PS3.19/models/NativeDICOM"


def store_response(accepted: Sequence[Accepted], rejected: Sequence[Rejected]) -> Dataset:
    """The module for the outcomes of one request.

    Retrieve URL (type 2) is empty: nothing can be retrieved by DICOMweb here. An instance whose UIDs could not be read
    cannot be an item of Failed SOP Sequence, which must name it: it is one of Other Failures Sequence (0008,119A).
    """
    response = Dataset()
    response.RetrieveURL = None
    failed = [_failure(each, _reference(each.sop)) for each in rejected if each.sop is not None]
    nameless = [_failure(each, Dataset()) for each in rejected if each.sop is None]
    if failed:
        response.FailedSOPSequence = failed
    if accepted:
        response.ReferencedSOPSequence = [_stored(each) for each in accepted]
    if nameless:
        response.OtherFailuresSequence = nameless
    return response


def _stored(accepted: Accepted) -> Dataset:
    item = _reference(accepted.sop)
    item.RetrieveURL = None
    return item


def _failure(rejected: Rejected, item: Dataset) -> Dataset:
    item.FailureReason = int(FAILURE_REASONS[rejected.reason])
    return item


def _reference(sop: SopReference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop.class_uid
    item.ReferencedSOPInstanceUID = sop.instance_uid
    return item


def preferred_type(accept: str) -> str | None:
    """The type that an Accept header likes best, JSON where it does not care; None where it takes neither."""
    try:
        return mimeparse.best_match([DICOM_XML, DICOM_JSON], accept) or None
    except mimeparse.MimeTypeParseException:
        return None


def _to_json(dataset: Dataset) -> bytes:
    return dataset.to_json().encode()


def _to_xml(dataset: Dataset) -> bytes:
    """The Native DICOM Model (PS3.19 section A.1), for what a response has: sequences, texts and numbers."""
    root = ET.Element("NativeDicomModel", {"xmlns": _NATIVE_MODEL, "xml:space": "preserve"})
    _add_elements(root, dataset)
    content: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return content


def _add_elements(parent: ET.Element, dataset: Dataset) -> None:
    for element in dataset:
        names = {"tag": f"{element.tag:08X}", "vr": str(element.VR), "keyword": element.keyword}
        attribute = ET.SubElement(parent, "DicomAttribute", names)
        if element.VR == "SQ":
            for number, item in enumerate(element.value, 1):
                _add_elements(ET.SubElement(attribute, "Item", {"number": str(number)}), item)
        elif not element.is_empty:
            ET.SubElement(attribute, "Value", {"number": "1"}).text = str(element.value)


ENCODERS: Final[Mapping[str, Callable[[Dataset], bytes]]] = {DICOM_JSON: _to_json, DICOM_XML: _to_xml}
"""How a response is written, by media type."""
