"""Finding what to send: files and folders as named on the command line, with the names that the batch will show."""

import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Self

from radrelay_local.client.sending import OutgoingFile


class SkipReason(StrEnum):
    """Why something that was found is not sent."""

    UNREADABLE = "unreadable"
    EMPTY_FOLDER = "empty_folder"
    LINK_OUTSIDE = "link_outside"
    NOT_A_FILE = "not_a_file"


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was found and is not sent."""

    name: str
    reason: SkipReason
    detail: str

    @classmethod
    def unreadable(cls, name: str, error: OSError) -> Self:
        """Something that the system does not let us read."""
        return cls(name, SkipReason.UNREADABLE, (error.strerror or type(error).__name__).lower())


@dataclass(slots=True)
class Found:
    """What there is to send, in order, and what is left out."""

    files: list[OutgoingFile] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        """Bytes to send."""
        return sum(file.size_bytes for file in self.files)


def find_files(paths: Iterable[Path]) -> Found:
    """Find all files of these paths, folders with everything below them, in order of their names.

    A file is named by its path from the folder that was asked for, that folder's name included: `study/ct/1.dcm`. Two
    folders of one name get different ones: `study` and `study-2`. A file that several paths lead to is sent once.

    Links below a folder are not followed: what they lead to inside of it is found without them, and what lies outside
    was not asked for. A path that is a link itself is followed.
    """
    walk = _Walk()
    for path in paths:
        top = walk.unused_name(Path(os.path.abspath(path)).name)  # noqa: PTH100  # resolve() would name a link's target
        if path.is_dir():
            walk.add_folder(path, top)
        else:
            walk.add_file(path, top)
    return walk.found


class _Walk:
    def __init__(self) -> None:
        self.found = Found()
        self._top_names: set[str] = set()
        self._seen: set[Path] = set()

    def unused_name(self, name: str) -> str:
        wanted, number = name, 1
        stem, suffix = os.path.splitext(name)  # noqa: PTH122  # of a name, not of a path
        while wanted in self._top_names:
            number += 1
            wanted = f"{stem}-{number}{suffix}"
        self._top_names.add(wanted)
        return wanted

    def add_folder(self, root: Path, top: str) -> None:
        inside = root.resolve()

        def unlistable(error: OSError) -> None:
            name = _printable(_name(root, top, Path(error.filename)))
            self.found.skipped.append(Skipped.unreadable(name, error))

        for folder, folders, files in os.walk(root, onerror=unlistable):
            folders.sort()
            if not folders and not files:
                self._skip(_name(root, top, Path(folder)), SkipReason.EMPTY_FOLDER, "nothing in it")
            links = {name for name in folders if (Path(folder) / name).is_symlink()}
            for path in _in_order(folder, {*files, *links}):
                if path.is_symlink():
                    self._judge_link(path, _name(root, top, path), inside)
                else:
                    self.add_file(path, _name(root, top, path))

    def add_file(self, path: Path, name: str) -> None:
        try:
            status = path.stat()
            target = path.resolve()
        except OSError as error:
            self.found.skipped.append(Skipped.unreadable(_printable(name), error))
            return
        if not stat.S_ISREG(status.st_mode):
            self._skip(name, SkipReason.NOT_A_FILE, "neither a file nor a folder")
        elif target not in self._seen:
            self._seen.add(target)
            self.found.files.append(OutgoingFile(_printable(name), path, status.st_size))

    def _judge_link(self, path: Path, name: str, inside: Path) -> None:
        try:
            target = path.resolve(strict=True)
        # RuntimeError: links that lead round in a circle, before Python 3.13.
        except (OSError, RuntimeError):
            self._skip(name, SkipReason.UNREADABLE, "a link that leads nowhere")
            return
        if not target.is_relative_to(inside):
            self._skip(name, SkipReason.LINK_OUTSIDE, "a link that leads out of the folder")

    def _skip(self, name: str, reason: SkipReason, detail: str) -> None:
        self.found.skipped.append(Skipped(_printable(name), reason, detail))


def _in_order(folder: str, names: Iterable[str]) -> Iterator[Path]:
    return (Path(folder) / name for name in sorted(names))


def _name(root: Path, top: str, path: Path) -> str:
    return (Path(top) / path.relative_to(root)).as_posix()


def _printable(name: str) -> str:
    """A name without control characters, and without bytes that are no UTF-8, as the API shows names too."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c)[0] == "C" else c for c in name)
