"""From DICOM bytes to the model's array, and from its map back to the image. Pure: no I/O, no torch."""

from inference_service.imaging.placement import Placement, cut_to_image
from inference_service.imaging.preparation import PreparedFrame, prepare_frames

__all__ = ["Placement", "PreparedFrame", "cut_to_image", "prepare_frames"]
