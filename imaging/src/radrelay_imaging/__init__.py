"""From DICOM bytes to numbers that mean something and to pictures that people see. Pure: no I/O, no network."""

from radrelay_imaging.colours import ColourMap
from radrelay_imaging.frames import FRAME_VERSION, FrameValues, read_frame
from radrelay_imaging.heat import blend_heatmap, draw_heatmap
from radrelay_imaging.intensity import VoiFunction, Window
from radrelay_imaging.patients import read_patient
from radrelay_imaging.pictures import (
    DRAWING_VERSION,
    LONG_SIDE_PX,
    draw_image,
    draw_overlay,
    encode_npy,
    picture_size,
)
from radrelay_imaging.refusal import Refusal, RefusalReason
from radrelay_imaging.windows import WINDOWS_HU, NamedWindow

__all__ = [
    "DRAWING_VERSION",
    "FRAME_VERSION",
    "LONG_SIDE_PX",
    "WINDOWS_HU",
    "ColourMap",
    "FrameValues",
    "NamedWindow",
    "Refusal",
    "RefusalReason",
    "VoiFunction",
    "Window",
    "blend_heatmap",
    "draw_heatmap",
    "draw_image",
    "draw_overlay",
    "encode_npy",
    "picture_size",
    "read_frame",
    "read_patient",
]
