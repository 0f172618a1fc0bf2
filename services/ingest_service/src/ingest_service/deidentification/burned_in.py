"""Whether the pixels themselves may show who the patient is; they are not looked at, only what is said of them."""

from typing import Final

from pydicom import uid
from pydicom.dataset import Dataset

from ingest_service.domain.reasons import Refusal, RejectReason

# Made by grabbing a screen, or by machines that write the patient's name into the picture.
_SUSPECT_CLASSES: Final = frozenset(
    {
        uid.SecondaryCaptureImageStorage,
        uid.MultiFrameSingleBitSecondaryCaptureImageStorage,
        uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        uid.MultiFrameTrueColorSecondaryCaptureImageStorage,
        uid.UltrasoundImageStorage,
        uid.UltrasoundMultiFrameImageStorage,
        uid.EnhancedUSVolumeStorage,
        "1.2.840.10008.5.1.4.1.1.6",  # Ultrasound Image Storage, retired
        "1.2.840.10008.5.1.4.1.1.3",  # Ultrasound Multi-frame Image Storage, retired
    }
)


def refuse_burned_in(dataset: Dataset) -> None:
    """Refuse an image with burned-in annotation, or that may have some (PS3.3 section C.7.6.1.1, PS3.15 section E.3.1).

    Raises:
        Refusal: burned_in_annotation.
    """
    said = str(dataset.get("BurnedInAnnotation") or "").strip().upper()
    if said == "YES":
        raise Refusal(RejectReason.BURNED_IN_ANNOTATION, "Burned In Annotation (0028,0301) is YES")
    if said != "NO" and str(dataset.get("SOPClassUID")) in _SUSPECT_CLASSES:
        raise Refusal(
            RejectReason.BURNED_IN_ANNOTATION,
            "Burned In Annotation (0028,0301) does not say NO in a secondary capture or ultrasound image",
        )
