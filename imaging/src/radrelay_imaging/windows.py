"""Windows that radiologists know by name."""

from enum import StrEnum
from typing import Final

from radrelay_imaging.intensity import Window


class NamedWindow(StrEnum):
    """A window on Hounsfield units; only a CT image can be shown so."""

    BRAIN = "brain"
    SUBDURAL = "subdural"
    STROKE = "stroke"
    BONE = "bone"
    SOFT_TISSUE = "soft_tissue"
    LUNG = "lung"
    MEDIASTINUM = "mediastinum"
    ABDOMEN = "abdomen"


WINDOWS_HU: Final = {
    NamedWindow.BRAIN: Window(40.0, 80.0),
    NamedWindow.SUBDURAL: Window(80.0, 200.0),
    NamedWindow.STROKE: Window(40.0, 40.0),
    NamedWindow.BONE: Window(600.0, 2800.0),
    NamedWindow.SOFT_TISSUE: Window(50.0, 350.0),
    NamedWindow.LUNG: Window(-600.0, 1500.0),
    NamedWindow.MEDIASTINUM: Window(50.0, 350.0),
    NamedWindow.ABDOMEN: Window(50.0, 400.0),
}
"""Source: Radiopaedia, "Windowing (CT)", which gives usual values and no standard."""
