"""What the demo sends: phantoms, real files that pydicom ships, and files that must be refused."""

import io
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydicom.data import get_testdata_file

from radrelay_local.people import ADA, BEN, User
from radrelay_phantoms import HaemorrhageKind, generate_series, sample
from radrelay_phantoms.dicom import write_dicom, write_series
from radrelay_shared.events import Urgency

IMAGE_SIZE = 512

ZIP_PHANTOMS = 20
FOLDER_PHANTOMS = 8
SERIES_SLICES = 4
OTHER_PHANTOMS = 6

SAMPLE_STEPS = ZIP_PHANTOMS + FOLDER_PHANTOMS + OTHER_PHANTOMS + 2
"""How often `write_samples` says that something was written: a series and the bad files count as one each."""

REAL_IMAGES = ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "J2K_pixelrep_mismatch.dcm", "examples_overlay.dcm")
WITHOUT_PIXELS = "rtplan.dcm"

Written = Callable[[], None]
"""Called after each file that was written."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """Files that one user sends as one batch.

    Attributes:
        label: what the user calls it.
        sender: who sends it.
        priority: how soon it is wanted.
        root: folder that holds the files; they are named by their path in it.
        paths: the files, ZIP archives among them.
    """

    label: str
    sender: User
    priority: Urgency
    root: Path
    paths: tuple[Path, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes to send."""
        return sum(path.stat().st_size for path in self.paths)


def write_samples(folder: Path, seed: int, written: Written = lambda: None) -> list[Parcel]:
    """Write the demo's own parcels below a folder; another seed gives other phantoms."""
    return [
        _phantom_zip(folder / "zip", seed, written),
        _phantom_folder(folder / "folder", seed + ZIP_PHANTOMS, written),
        write_real_files(folder / "real", seed + ZIP_PHANTOMS + FOLDER_PHANTOMS + 1, written),
    ]


def users_own(path: Path) -> Parcel:
    """Return a parcel of a user's own file or folder.

    Raises:
        FileNotFoundError: there is no such file, or the folder is empty.
    """
    if path.is_file():
        return Parcel(path.name, ADA, Urgency.ROUTINE, path.parent, (path,))
    files = tuple(sorted(found for found in path.rglob("*") if found.is_file()))
    if not files:
        raise FileNotFoundError(f"no files in {path}")
    return Parcel(path.name, ADA, Urgency.ROUTINE, path, files)


def _phantom_zip(folder: Path, seed: int, written: Written) -> Parcel:
    folder.mkdir(parents=True)
    archive = folder / "head-ct-phantoms.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for number in range(ZIP_PHANTOMS):
            target.writestr(f"phantoms/head-{number:03d}.dcm", _phantom_file(seed + number))
            written()
    return Parcel("Head CT phantoms, one ZIP", ADA, Urgency.ROUTINE, folder, (archive,))


def _phantom_folder(folder: Path, seed: int, written: Written) -> Parcel:
    (folder / "series").mkdir(parents=True)
    kinds = (*HaemorrhageKind, None)
    paths = []
    for number in range(FOLDER_PHANTOMS):
        path = folder / f"head-{number:03d}.dcm"
        write_dicom(sample(seed + number, size=IMAGE_SIZE), path)
        paths.append(path)
        written()
    kind = kinds[seed % len(kinds)]
    slices = generate_series(seed + FOLDER_PHANTOMS, haemorrhage=kind, slices=SERIES_SLICES, size=IMAGE_SIZE)
    paths += write_series(slices, folder / "series")
    written()
    return Parcel("Emergency heads, a folder", ADA, Urgency.STAT, folder, tuple(paths))


def write_real_files(folder: Path, seed: int, written: Written = lambda: None) -> Parcel:
    """Write the parcel of the second tenant: real images, a few phantoms, and what must be refused."""
    folder.mkdir(parents=True)
    for name in REAL_IMAGES:
        shutil.copyfile(_shipped(name), folder / name)
    for number in range(OTHER_PHANTOMS):
        write_dicom(sample(seed + number, size=IMAGE_SIZE), folder / f"head-{number:03d}.dcm")
        written()
    whole = _shipped("CT_small.dcm").read_bytes()
    (folder / "cut-short.dcm").write_bytes(whole[: len(whole) // 2])
    (folder / "letter.dcm").write_text("Dear colleague, this is a text file with a DICOM name.\n", encoding="utf-8")
    (folder / "nothing.dcm").write_bytes(b"")
    shutil.copyfile(_shipped(WITHOUT_PIXELS), folder / "plan-without-pixels.dcm")
    good = _phantom_file(seed + OTHER_PHANTOMS)
    (folder / "climbing-names.zip").write_bytes(_archive({"../../outside.dcm": good, "inside.dcm": good}))
    written()
    paths = tuple(sorted(folder.iterdir()))
    return Parcel("Real files, and bad ones", BEN, Urgency.URGENT, folder, paths)


def _phantom_file(seed: int) -> bytes:
    content = io.BytesIO()
    write_dicom(sample(seed, size=IMAGE_SIZE), content)
    return content.getvalue()


def _archive(entries: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in entries.items():
            target.writestr(name, data)
    return content.getvalue()


def _shipped(name: str) -> Path:
    """Return a file that pydicom ships.

    Raises:
        FileNotFoundError: this pydicom does not have it.
    """
    found = get_testdata_file(name, download=False)
    if not isinstance(found, str):
        raise FileNotFoundError(f"pydicom does not ship {name}")
    return Path(found)
