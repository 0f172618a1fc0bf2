"""DICOM files with a canary wherever a name could be, to look for it afterwards."""

import io
from typing import Final

from pydicom import config
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from support.dicom_files import image

CANARY: Final = "CANARY7"
DESCRIBE_THE_IMAGE: Final = {
    "Manufacturer", "CodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "CodeMeaning",
    "ManufacturerModelName", "SoftwareVersions", "ConvolutionKernel", "RescaleType",
}  # fmt: skip
"""Text that de-identification keeps, so that it holds no canary."""

_TEXT: Final = {"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}


def fill_with_canaries(dataset: Dataset) -> Dataset:
    """A canary in every text attribute of the dictionary that may be in a data set, and in private ones."""
    for tag, (vr, *_) in DicomDictionary.items():
        if vr in _TEXT and tag >> 16 >= 8 and keyword_for_tag(tag) not in DESCRIBE_THE_IMAGE:
            dataset.add_new(tag, vr, CANARY)
    block = dataset.private_block(0x0009, CANARY, create=True)
    block.add_new(0x01, "LO", CANARY)
    block.add_new(0x02, "UN", CANARY.encode() + b"\0")
    return dataset


def identified_image() -> Dataset:
    """An image with canaries in its data set, in sequences of all kinds, overlays, bulk data and a malformed value."""
    dataset = fill_with_canaries(image())
    dataset.StudyDate = dataset.SeriesDate = "20260314"
    dataset.ICCProfile = CANARY.encode() + b"\0"
    # Lower case, so that it is no code string.
    dataset.add(DataElement(0x00180022, "CS", f"{CANARY} {CANARY.lower()}", validation_mode=config.IGNORE))
    dataset.add_new(0x60004000, "LT", CANARY)
    dataset.add_new(0x50001001, "LO", CANARY)
    inner = fill_with_canaries(Dataset())
    inner.EquipmentAdministratorSequence = [fill_with_canaries(Dataset())]
    inner.OriginalAttributesSequence = [fill_with_canaries(Dataset())]
    for keyword in (
        "ReferencedImageSequence",
        "SharedFunctionalGroupsSequence",
        "RequestAttributesSequence",
        "ContentSequence",
        "OtherPatientIDsSequence",
        "AnatomicRegionSequence",
    ):
        setattr(dataset, keyword, [inner])
    dataset.private_block(0x0011, CANARY, create=True).add_new(0x01, "SQ", [inner])
    dataset.add_new(0xFFFCFFFC, "OB", CANARY.encode() + b"\0")
    return dataset


def encode_identified(dataset: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """The data set as a Part 10 file with canaries in its preamble and file meta information."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = UID("1.2.3.4")
    meta.SourceApplicationEntityTitle = CANARY
    meta.PrivateInformationCreatorUID, meta.PrivateInformation = UID("1.2.3.4"), CANARY.encode() + b"\0"
    dataset.file_meta = meta
    dataset.preamble = CANARY.encode().ljust(128, b"\0")
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
