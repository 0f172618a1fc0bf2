"""Applies the Basic Profile to a data set without its pixel data.

Sources: DICOM PS3.15 section E.1.1 (de-identifier) and table E.1-1; context group 7050 for the method's code.
"""

from dataclasses import dataclass, field
from typing import Final

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from ingest_service.deidentification.pseudonyms import PseudonymKeys
from ingest_service.deidentification.rules import fate_of, values_of
from ingest_service.deidentification.table import PATIENT_ID, Fate

METHOD: Final = "DICOM PS3.15 Annex E Basic Application Confidentiality Profile"

_DUMMIES: Final = {
    "AE": "ANONYMIZED",
    "AS": "000Y",
    "CS": "ANONYMIZED",
    "DA": "19000101",
    "DT": "19000101000000",
    "LO": "ANONYMIZED",
    "LT": "ANONYMIZED",
    "OB": b"\0\0",
    "PN": "ANONYMIZED",
    "SH": "ANONYMIZED",
    "ST": "ANONYMIZED",
    "TM": "000000",
    "UC": "ANONYMIZED",
    "UN": b"\0\0",
    "UR": "urn:anonymized",
    "UT": "ANONYMIZED",
}


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient's pseudonym and the identifier behind it."""

    pseudonym: str
    patient_id: str = field(repr=False)


def deidentify(dataset: Dataset, keys: PseudonymKeys) -> Patient | None:
    """Apply the profile in place; `dataset` must know its original encoding. None where it has no Patient ID.

    Raises:
        Exception: whatever pydicom raises of values that it cannot read; the data set is then to be thrown away.
    """
    patient_id = _patient_id(dataset)
    _clean(dataset, keys)
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = METHOD
    dataset.DeidentificationMethodCodeSequence = [_code("113100", "Basic Application Confidentiality Profile")]
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    return Patient(keys.pseudonym_of(patient_id), patient_id) if patient_id else None


def _clean(dataset: Dataset, keys: PseudonymKeys) -> None:
    pseudonym = keys.pseudonym_of(_patient_id(dataset))
    for tag in list(dataset.keys()):
        element = dataset.get_item(tag)
        match fate_of(element):
            case Fate.KEEP:
                pass
            case Fate.CLEAN:
                _clean_items(dataset, tag, keys)
            case Fate.EMPTY:
                dataset[tag] = DataElement(tag, _vr(tag), [] if _vr(tag) == "SQ" else None)
            case Fate.DUMMY:
                dataset[tag] = DataElement(tag, _vr(tag), _dummy(_vr(tag)))
            case Fate.MAP_UID:
                uids = [keys.map_uid(value.decode("latin-1")) for value in values_of(element)]
                dataset[tag] = DataElement(tag, "UI", uids)
            case Fate.PSEUDONYM:
                dataset[tag] = DataElement(tag, _vr(tag), pseudonym)
            case Fate.REMOVE:
                del dataset[tag]


def _clean_items(dataset: Dataset, tag: BaseTag, keys: PseudonymKeys) -> None:
    items = dataset[tag].value
    if not isinstance(items, Sequence):  # named as a sequence, and none
        del dataset[tag]
        return
    for item in items:
        _clean(item, keys)


def _vr(tag: BaseTag) -> str:
    return dictionary_VR(tag)


def _dummy(vr: str) -> object:
    return [Dataset()] if vr == "SQ" else _DUMMIES[vr]


def _patient_id(dataset: Dataset) -> str:
    """The Patient ID without padding; '' where there is none."""
    value = dataset[PATIENT_ID].value if PATIENT_ID in dataset else None
    if isinstance(value, MultiValue):
        value = "\\".join(map(str, value))
    return str(value or "").strip("\0 ")


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item
