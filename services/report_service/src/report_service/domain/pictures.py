"""Which pictures there are of a report, and which of them are kept once they were drawn."""

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from radrelay_imaging import DRAWING_VERSION, LONG_SIDE_PX, WINDOWS_HU, ColourMap, NamedWindow, Window
from report_service.domain.report import Report

MODEL_WINDOW: Final = "model"
OWN_WINDOW: Final = "own"
WINDOW_PATTERN: Final = (
    rf"^({MODEL_WINDOW}|{OWN_WINDOW}|{'|'.join(NamedWindow)}"
    r"|-?[0-9]{1,5}(\.[0-9]{1,2})?,[1-9][0-9]{0,4}(\.[0-9]{1,2})?)$"
)
"""`model`, `own`, a named window, or a centre and a width on modality values."""
LEAST_SIZE_PX: Final = 16
MOST_SIZE_PX: Final = 2048
MOST_FRAMES: Final = 100_000
KEPT_SIZES_PX: Final = (256, 512, LONG_SIDE_PX)
DEFAULT_OPACITY: Final = 0.6


class PictureKind(StrEnum):
    """What a picture shows."""

    IMAGE = "image"
    HEATMAP = "heatmap"
    """Heat alone."""
    OVERLAY = "overlay"
    """Heat over the image."""


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """Which picture is asked for; what its kind has no use for is not looked at."""

    kind: PictureKind
    window: str = MODEL_WINDOW
    """Fits `WINDOW_PATTERN`."""
    frame: int | None = None
    """From 1, of an image; None for the one that the result is of, which heat is always over."""
    size_px: int = LONG_SIDE_PX
    """What the long side is at most."""
    opacity: float = DEFAULT_OPACITY
    """Of the heat where it is strongest, 0 to 1."""
    colour_map: ColourMap = ColourMap.INFERNO

    def digest(self, report: Report) -> str:
        """Of all that decides how the picture looks: 64 hexadecimal digits."""
        facts = [str(report.report_id), report.source_key, report.model.digest, DRAWING_VERSION]
        text = json.dumps([*facts, self.kind, self.size_px, *self._choices(report)])
        return hashlib.sha256(text.encode()).hexdigest()

    def is_kept(self, report: Report) -> bool:
        """Whether the picture is one of a bounded set, which are stored when they are first drawn.

        Kept are the frame of the result, in windows that have a name, at three sizes, and heat at the usual opacity.
        Anything else, such as a window by its numbers, is drawn each time.
        """
        is_named = "," not in self.window
        is_usual_frame = self.frame in {None, report.frame_number}
        has_usual_opacity = self.kind is not PictureKind.OVERLAY or self.opacity == DEFAULT_OPACITY
        return is_named and is_usual_frame and has_usual_opacity and self.size_px in KEPT_SIZES_PX

    def of_image(self) -> "PictureRequest":
        """The picture of the image alone that an overlay lies on."""
        return PictureRequest(PictureKind.IMAGE, window=self.window, size_px=self.size_px)

    def chosen_window(self, report: Report) -> "ChosenWindow":
        """The window that the image is shown in."""
        if self.window == OWN_WINDOW:
            return ChosenWindow(None)
        if self.window == MODEL_WINDOW:
            seen = None if report.picture is None else report.picture.window
            return ChosenWindow(None if seen is None else Window(seen.center, seen.width))
        if "," in self.window:
            center, width = self.window.split(",")
            return ChosenWindow(Window(float(center), float(width)))
        return ChosenWindow(WINDOWS_HU[NamedWindow(self.window)], in_hounsfield=True)

    def _choices(self, report: Report) -> list[object]:
        match self.kind:
            case PictureKind.IMAGE:
                return [self.window, self.frame or report.frame_number]
            case PictureKind.HEATMAP:
                return [self.colour_map]
            case PictureKind.OVERLAY:
                return [self.window, self.opacity, self.colour_map]


@dataclass(frozen=True, slots=True)
class ChosenWindow:
    """How an image is shown: None as it asks itself to be."""

    window: Window | None
    in_hounsfield: bool = False
    """The window means Hounsfield units, and nothing else may be shown in it."""
