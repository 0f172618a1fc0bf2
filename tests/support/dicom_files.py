"""Small DICOM files of every kind that a test needs; pass only what the test is about."""

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian


def new_uid() -> str:
    """A UID that nothing else has (DICOM PS3.5 annex B.2)."""
    return f"2.25.{uuid4().int}"


def image(*, rows: int = 4, columns: int = 6, frames: int = 1, samples: int = 1, bits: int = 16) -> Dataset:
    """A CT image with pixel data of the right length, for a test to change and `encode`."""
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = new_uid()
    dataset.StudyInstanceUID = new_uid()
    dataset.SeriesInstanceUID = new_uid()
    dataset.Modality = "CT"
    dataset.BodyPartExamined = "HEAD"
    dataset.PatientName = "Doe^Jane"
    dataset.Rows, dataset.Columns = rows, columns
    dataset.SamplesPerPixel = samples
    dataset.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    if samples == 3:
        dataset.PlanarConfiguration = 0
    if frames != 1:
        dataset.NumberOfFrames = frames
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = 0
    length = (rows * columns * frames * samples * bits + 7) // 8
    set_pixels(dataset, bytes(length + length % 2))
    return dataset


def set_pixels(dataset: Dataset, value: bytes, *, encapsulated: bool = False) -> None:
    """Replace the pixel data."""
    dataset.PixelData = value
    dataset["PixelData"].VR = "OB" if encapsulated else "OW"
    dataset["PixelData"].is_undefined_length = encapsulated


def compressed(frames: Sequence[bytes], syntax: UID, **shape: int) -> bytes:
    """A file whose frames are these fragments; they need not be decodable."""
    dataset = image(frames=len(frames), **shape)
    set_pixels(dataset, encapsulate(list(frames)), encapsulated=True)
    return encode(dataset, syntax)


def encode(dataset: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """The data set as a Part 10 file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = UID(str(dataset.get("SOPInstanceUID") or "1.2.3"))
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = UID("1.2.3.4")
    dataset.file_meta = meta
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def dicom_file(**shape: int) -> bytes:
    """A valid file that no other call gives."""
    return encode(image(**shape))


def zip_of(entries: Mapping[str, bytes] | Iterable[tuple[str, bytes]], **options: Any) -> bytes:
    """A ZIP archive, deflated unless said otherwise."""
    pairs = entries.items() if isinstance(entries, Mapping) else entries
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **({"compression": zipfile.ZIP_DEFLATED} | options)) as archive:
        for name, content in pairs:
            archive.writestr(name, content)
    return buffer.getvalue()
