"""Example pictures for a model card."""

import csv
import io
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image, UnidentifiedImageError

from inference_service.tools.errors import ToolError

LIST_FILE = "examples.csv"
_COLUMNS = ("file", "caption")


@dataclass(frozen=True, slots=True)
class Example:
    """A picture and what is to be said of it."""

    name: str
    """Of the file beside the card."""
    caption: str
    png: bytes

    @property
    def data_uri(self) -> str:
        """The picture itself, for a card of one file."""
        return f"data:image/png;base64,{b64encode(self.png).decode()}"


def read_examples(directory: Path) -> tuple[Example, ...]:
    """The pictures that `examples.csv` lists, in its order, as `example-1.png` and so on.

    Raises:
        ToolError: the list cannot be read or is empty, or what it names is no PNG picture in the folder.
    """
    path = directory / LIST_FILE
    examples: list[Example] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            for column in _COLUMNS:
                if column not in (rows.fieldnames or ()):
                    raise ToolError(f"{path}: has no column {column}")
            for row in rows:
                place = f"{path}, line {rows.line_num}"
                name, caption = ((row[column] or "").strip() for column in _COLUMNS)
                if not caption:
                    raise ToolError(f"{place}: has no caption")
                examples.append(Example(f"example-{len(examples) + 1}.png", caption, _read_png(directory, name, place)))
    except OSError as error:
        raise ToolError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ToolError(f"{path}: is not CSV in UTF-8: {error}") from error
    if not examples:
        raise ToolError(f"{path}: lists no pictures")
    return tuple(examples)


def _read_png(directory: Path, name: str, place: str) -> bytes:
    if not name or name != PurePosixPath(name).name or "\\" in name:
        raise ToolError(f"{place}: file is {name!r}, not the name of a file in {directory}")
    try:
        png = (directory / name).read_bytes()
    except (OSError, ValueError) as error:  # a ValueError for a name with a null character
        raise ToolError(f"{place}: {name!r} cannot be read: {getattr(error, 'strerror', error)}") from error
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
            image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ToolError(f"{place}: {name!r} is not a PNG picture, or damaged") from error
    return png
