"""One frame of a DICOM file: found, said what it is, and decoded when somebody asks."""

from dataclasses import dataclass

from pydicom import Dataset, FileDataset

from radrelay_imaging.dataset import frame_count, frame_view, read_dataset
from radrelay_imaging.intensity import is_hounsfield
from radrelay_imaging.pixels import Float32Array, decode_frame
from radrelay_imaging.refusal import Refusal, RefusalReason, refusing


@dataclass(frozen=True, slots=True)
class OpenFrame:
    """A frame that is not decoded yet."""

    dataset: FileDataset
    """The whole file."""
    view: Dataset
    """The attributes of this frame."""
    number: int
    """From 1, as DICOM counts frames."""
    count: int
    """How many the image has."""
    is_hounsfield: bool
    """Whether its values are Hounsfield units."""

    @property
    def is_dark_high(self) -> bool:
        """Whether a window on its values shows high ones dark: MONOCHROME1 asks for it, Hounsfield units never do."""
        return self.view.get("PhotometricInterpretation") == "MONOCHROME1" and not self.is_hounsfield

    def decode(self) -> Float32Array:
        """Its values; see `decode_frame`.

        Raises:
            Refusal: as there.
        """
        return decode_frame(self.dataset, self.view, self.number - 1)


def open_frame(content: bytes, frame_number: int) -> OpenFrame:
    """A frame of a DICOM file by its number, from 1; 1 for an image that has only one.

    Raises:
        Refusal: the file cannot be read, or has no such frame.
    """
    dataset = read_dataset(content)
    with refusing(RefusalReason.MALFORMED_ATTRIBUTES, "An attribute that the image needs is damaged"):
        count = frame_count(dataset)
        if not 1 <= frame_number <= count:
            raise Refusal(RefusalReason.MALFORMED_ATTRIBUTES, "The image has no such frame.")
        view = frame_view(dataset, frame_number - 1)
        return OpenFrame(dataset, view, frame_number, count, is_hounsfield(dataset, view))
