"""Why an image cannot be used."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum


class RefusalReason(StrEnum):
    """Reason codes that come from the image itself; `inference.failed` carries them."""

    NOT_DICOM = "not_dicom"
    NO_PIXEL_DATA = "no_pixel_data"
    MALFORMED_ATTRIBUTES = "malformed_attributes"
    TOO_LARGE = "too_large"
    OUTSIDE_INTENDED_USE = "outside_intended_use"
    UNSUPPORTED_PHOTOMETRIC = "unsupported_photometric"
    UNSUPPORTED_TRANSFER_SYNTAX = "unsupported_transfer_syntax"
    UNDECODABLE_PIXEL_DATA = "undecodable_pixel_data"
    NOT_HOUNSFIELD = "not_hounsfield"
    UNUSABLE_PIXEL_VALUES = "unusable_pixel_values"
    DECODER_CRASHED = "decoder_crashed"
    DECODER_TIMEOUT = "decoder_timeout"


class Refusal(Exception):
    """The image cannot be used, now or later. `detail` never holds a value taken from the file."""

    def __init__(self, reason: RefusalReason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@contextmanager
def refusing(reason: RefusalReason, what: str) -> Iterator[None]:
    """Turn any fault inside into a refusal: pydicom and its decoders raise many kinds on damaged or hostile bytes.

    Neither messages nor warnings of theirs go on, since they quote values from the file, which may be a patient's;
    that is also why the cause is left off.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except Refusal:
            raise
        except MemoryError:
            raise Refusal(RefusalReason.TOO_LARGE, "The image takes more memory than is allowed.") from None
        except Exception as error:  # noqa: BLE001  # whatever they raise, it means the same here
            raise Refusal(reason, f"{what} ({type(error).__name__}).") from None
