"""Only PNG pictures in the folder are examples, and what is not is named."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference_service.tools.errors import ToolError
from inference_service.tools.examples import read_examples


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8), 128, np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures and no list yet."""
    directory = tmp_path / "examples"
    directory.mkdir()
    for name in ("one.png", "two.png"):
        (directory / name).write_bytes(png())
    return directory


def test_pictures_come_in_the_order_of_the_list_under_names_of_the_card(folder: Path) -> None:
    (folder / "examples.csv").write_text('file,caption\ntwo.png,"Second, first"\none.png,One\n')
    examples = read_examples(folder)
    assert [(each.name, each.caption) for each in examples] == [
        ("example-1.png", "Second, first"),
        ("example-2.png", "One"),
    ]
    assert all(each.png == png() for each in examples)
    assert examples[0].data_uri.startswith("data:image/png;base64,iVBOR")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "examples.csv: cannot be read: No such file"),
        ("", "examples.csv: has no column file"),
        ("file,text\none.png,x\n", "examples.csv: has no column caption"),
        ("file,caption\n", "examples.csv: lists no pictures"),
        ("file,caption\none.png,\n", "line 2: has no caption"),
        ("file,caption\none.png,x\nthree.png,x\n", "line 3: 'three.png' cannot be read: No such file"),
        ("file,caption\n../secret.png,x\n", "line 2: file is '../secret.png', not the name of a file"),
        ("file,caption\n,x\n", "line 2: file is '', not the name of a file"),
        ("file,caption\n..,x\n", "line 2: '..' cannot be read: Is a directory"),
        ("file,caption\nexamples.csv,x\n", "line 2: 'examples.csv' is not a PNG picture, or damaged"),
    ],
)
def test_what_is_no_picture_in_the_folder_is_named(folder: Path, text: str | None, said: str) -> None:
    (folder.parent / "secret.png").write_bytes(png())
    if text is not None:
        (folder / "examples.csv").write_text(text)
    with pytest.raises(ToolError) as raised:
        read_examples(folder)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [b"", png()[:40], png()[:29] + bytes(4) + png()[33:], b"GIF89a" + png()],
    ids=["empty", "cut", "wrong checksum", "another format"],
)
def test_a_damaged_picture_is_named(folder: Path, content: bytes) -> None:
    (folder / "one.png").write_bytes(content)
    (folder / "examples.csv").write_text("file,caption\none.png,One\n")
    with pytest.raises(ToolError, match=r"line 2: 'one\.png' is not a PNG picture, or damaged"):
        read_examples(folder)
