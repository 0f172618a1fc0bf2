"""Phantoms as DICOM: CT Image Storage in Part 10 files, marked as synthetic.

PS3.3 A.3 (CT Image IOD), C.8.2.1 (CT Image module). Pixels are 12 bits in 16, unsigned; HU = stored value - 1024.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO
from uuid import NAMESPACE_DNS, uuid5

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from radrelay_phantoms.phantom import Phantom

PATIENT_NAME = "SYNTHETIC^PHANTOM"
NOTICE = "SYNTHETIC PHANTOM, NOT A PATIENT"
MANUFACTURER = "Radrelay phantom generator"

RESCALE_INTERCEPT = -1024
BITS_STORED = 12
WINDOW_CENTER_HU = 40
WINDOW_WIDTH_HU = 80

_NAMESPACE = uuid5(NAMESPACE_DNS, "phantoms.radrelay.org")
_IMPLEMENTATION_CLASS_UID = f"2.25.{uuid5(_NAMESPACE, 'implementation').int}"


def phantom_uid(*parts: object) -> str:
    """Return the UID for a name: `2.25.` and a version 5 UUID (PS3.5 B.2), the same for the same parts."""
    return f"2.25.{uuid5(_NAMESPACE, '/'.join(map(str, parts))).int}"


def write_dicom(
    phantom: Phantom,
    target: Path | BinaryIO,
    *,
    study_instance_uid: str | None = None,
    series_instance_uid: str | None = None,
    instance_number: int = 1,
    patient_name: str = PATIENT_NAME,
) -> str:
    """Write one slice and return its SOP Instance UID.

    UIDs that are not given follow from what was drawn: the same phantom gets the same UIDs.
    """
    drawn = (phantom.seed, phantom.difficulty, phantom.image_hu_yx.shape[0])
    study = study_instance_uid or phantom_uid("study", *drawn)
    series = series_instance_uid or phantom_uid("series", study, 1)
    sop = phantom_uid("instance", series, instance_number, phantom.kind, f"{phantom.level_mm:.3f}")

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = UID(sop)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(_IMPLEMENTATION_CLASS_UID)
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    _describe(dataset, phantom, patient_name)
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = sop
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = series
    dataset.FrameOfReferenceUID = phantom_uid("frame-of-reference", study)
    dataset.InstanceNumber = instance_number
    _place(dataset, phantom)
    _store_pixels(dataset, phantom)
    dataset.save_as(target, enforce_file_format=True)
    return sop


def write_series(phantoms: Sequence[Phantom], folder: Path, *, stem: str = "slice") -> list[Path]:
    """Write several slices of one head as one series, `<stem>-001.dcm` upwards, and return their paths."""
    paths = []
    study = phantom_uid("study", phantoms[0].seed, phantoms[0].difficulty, phantoms[0].image_hu_yx.shape[0])
    for number, phantom in enumerate(phantoms, start=1):
        path = folder / f"{stem}-{number:03d}.dcm"
        write_dicom(phantom, path, study_instance_uid=study, instance_number=number)
        paths.append(path)
    return paths


def _describe(dataset: FileDataset, phantom: Phantom, patient_name: str) -> None:
    """Set the patient, study, series and equipment modules; what a phantom does not have stays empty."""
    dataset.PatientName = patient_name
    dataset.PatientID = f"PHANTOM-{phantom.seed}"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "O"
    dataset.StudyDate = ""
    dataset.StudyTime = ""
    dataset.StudyID = str(phantom.seed)[:16]
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = "Synthetic head CT"
    dataset.Modality = "CT"
    dataset.SeriesNumber = 1
    dataset.SeriesDescription = NOTICE
    dataset.BodyPartExamined = "HEAD"
    dataset.PatientPosition = "HFS"
    dataset.Manufacturer = MANUFACTURER
    dataset.PositionReferenceIndicator = ""
    dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    dataset.ImageComments = NOTICE
    dataset.SyntheticData = "YES"
    dataset.QualityControlImage = "YES"
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.AcquisitionNumber = 1
    dataset.KVP = ""


def _place(dataset: FileDataset, phantom: Phantom) -> None:
    """Set the geometry: columns to the patient's left, rows to the back, slices stacked upwards, millimetres."""
    rows, columns = phantom.image_hu_yx.shape
    spacing = round(phantom.spacing_mm, 6)
    dataset.PixelSpacing = [spacing, spacing]
    dataset.SliceThickness = phantom.slice_thickness_mm
    dataset.SliceLocation = round(phantom.level_mm, 3)
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    corner = (-(columns - 1) / 2 * spacing, -(rows - 1) / 2 * spacing, phantom.level_mm)
    dataset.ImagePositionPatient = [round(value, 3) for value in corner]


def _store_pixels(dataset: FileDataset, phantom: Phantom) -> None:
    """Set the image pixel, CT image and VOI modules."""
    stored = np.clip(phantom.image_hu_yx - np.int16(RESCALE_INTERCEPT), 0, 2**BITS_STORED - 1).astype("<u2")
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated = 16
    dataset.BitsStored = BITS_STORED
    dataset.HighBit = BITS_STORED - 1
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept = RESCALE_INTERCEPT
    dataset.RescaleSlope = 1
    dataset.RescaleType = "HU"
    dataset.WindowCenter = WINDOW_CENTER_HU
    dataset.WindowWidth = WINDOW_WIDTH_HU
    dataset.WindowCenterWidthExplanation = "BRAIN"
    dataset.PixelData = stored.tobytes()
