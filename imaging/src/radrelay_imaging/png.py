"""Writing PNG files quickly.

Pillow chooses a filter for every row by trial and cannot be told not to, which takes 3 to 7 ms for a 512 x 512 preview
and 9 to 28 ms for its overlay. Without filters they take 1.3 ms and 4 ms, and the files are as small.
"""

import struct
import zlib
from typing import Final

import numpy as np
import numpy.typing as npt

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_GREYSCALE: Final = 0
_COLOUR_TYPES: Final = {3: 2, 4: 6}
"""By the number of channels (ISO/IEC 15948, table 11.1)."""
_LEVEL: Final = 1


def encode_png(image: npt.NDArray[np.uint8]) -> bytes:
    """An 8-bit PNG file (ISO/IEC 15948), deflated, filter type 0 on every row.

    Args:
        image: (rows, columns) greyscale, (rows, columns, 3) RGB, or (rows, columns, 4) RGBA.
    """
    rows, columns = image.shape[:2]
    colour_type = _GREYSCALE if image.ndim == 2 else _COLOUR_TYPES[image.shape[2]]
    lines = np.zeros((rows, 1 + image[0].size), np.uint8)
    lines[:, 1:] = image.reshape(rows, -1)
    header = struct.pack(">IIBBBBB", columns, rows, 8, colour_type, 0, 0, 0)
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), _LEVEL)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
