"""Colour maps that are perceptually uniform: equal steps of heat look equal, also to colour-blind eyes and in grey.

Source: viridis, magma and inferno by S. van der Walt and N. Smith (matplotlib, CC0); cividis by J. Nunez, C. Anderton
and R. Renslow, "Optimizing colormaps with consideration for color vision deficiency", PLOS ONE 13(7), 2018.
"""

from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt


class ColourMap(StrEnum):
    """Which colours heat is shown in, from dark (none) to bright (most)."""

    INFERNO = "inferno"
    VIRIDIS = "viridis"
    MAGMA = "magma"
    CIVIDIS = "cividis"


_STOPS_RGB: Final = {
    ColourMap.INFERNO: "000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d24644 e45a31 f1731d f98e09 "
    "fcac11 f9cb35 f2ea69 fcffa4",
    ColourMap.VIRIDIS: "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 "
    "84d44b addc30 d8e219 fde725",
    ColourMap.MAGMA: "000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779 d0416f e75263 f56b5c fc8961 "
    "fea772 fec488 fde2a3 fcfdbf",
    ColourMap.CIVIDIS: "00224e 002e6a 1a386f 32436d 434e6c 535a6d 61656f 6f7073 7d7c78 8c8878 9b9476 aba072 bcae6c "
    "cdbb63 dec958 f0d846 fee838",
}
"""Each map at 17 equal steps of heat."""


def colours_of(colour_map: ColourMap, steps: int) -> npt.NDArray[np.float32]:
    """The map's colours at equal steps of heat from 0 to 1: float32 (steps, 3), red, green and blue, 0 to 255."""
    stops = np.array([list(bytes.fromhex(stop)) for stop in _STOPS_RGB[colour_map].split()], np.float32)
    heat, at = np.linspace(0.0, 1.0, steps), np.linspace(0.0, 1.0, len(stops))
    return np.stack([np.interp(heat, at, stops[:, channel]) for channel in range(3)], axis=-1).astype(np.float32)
