"""From DICOM bytes to the model's array and the pictures that people see. Pure: no I/O, no torch."""

from inference_service.imaging.geometry import Placement
from inference_service.imaging.heatmap import Heatmap, render_heatmap
from inference_service.imaging.preparation import PreparedFrame, prepare_frames
from inference_service.imaging.refusal import Refusal, RefusalReason

__all__ = [
    "Heatmap",
    "Placement",
    "PreparedFrame",
    "Refusal",
    "RefusalReason",
    "prepare_frames",
    "render_heatmap",
]
