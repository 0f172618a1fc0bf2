"""What a folder of backups has in it.

<folder>/<time>/backup.json     when, by which version, which tenants; written last
<folder>/<time>/database.dump   PostgreSQL's custom format
<folder>/<time>/objects.ndjson  the objects that belong to this backup
<folder>/<time>/heads.ndjson    the published heads of the audit chains
<folder>/objects/<key>          the objects, each once, whatever backups list it
"""

import fcntl
import hashlib
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from radrelay_local.errors import StackError

ModelT = TypeVar("ModelT", bound=BaseModel)

_OBJECTS: Final = "objects"
_MANIFEST: Final = "backup.json"
_UNFINISHED: Final = ".unfinished"
_LOCK: Final = ".lock"


class Entry(BaseModel):
    """One object."""

    model_config = ConfigDict(frozen=True)

    key: str
    size_bytes: int
    etag: str
    sha256: str
    content_type: str


class HeadMessage(BaseModel):
    """One message of a stream of heads."""

    model_config = ConfigDict(frozen=True)

    subject: str
    message_id: str
    event: str


class TenantTimes(BaseModel):
    """The lifecycle of a tenant's bucket."""

    model_config = ConfigDict(frozen=True)

    tenant: str
    rejected_days: int | None
    old_version_days: int | None
    unfinished_days: int | None


class Manifest(BaseModel):
    """What backup.json says."""

    model_config = ConfigDict(frozen=True)

    taken_at: datetime
    """When the database was about to be read."""
    radrelay: str
    """Version of this package."""
    database_sha256: str
    tenants: tuple[TenantTimes, ...]


class Backup:
    """One backup in a folder of backups."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "database.dump"
        self.objects = path / "objects.ndjson"
        self.heads = path / "heads.ndjson"

    @classmethod
    def begin(cls, folder: Path) -> Self:
        """A new one, which does not count until it is finished; nobody else may read it."""
        path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}{_UNFINISHED}"
        path.mkdir(mode=0o700)
        (folder / _OBJECTS).mkdir(mode=0o700, exist_ok=True)
        return cls(path)

    def finish(self, manifest: Manifest) -> Self:
        """Write the manifest, and give the backup its name."""
        (self.path / _MANIFEST).write_text(manifest.model_dump_json(indent=2), "utf-8")
        return type(self)(self.path.rename(self.path.with_name(self.path.name.removesuffix(_UNFINISHED))))

    def manifest(self) -> Manifest:
        """What it says of itself.

        Raises:
            StackError: this is no finished backup.
        """
        try:
            return Manifest.model_validate_json((self.path / _MANIFEST).read_text("utf-8"))
        except (OSError, ValidationError) as error:
            raise StackError(f"{self.path} is no backup: it has no {_MANIFEST} that can be read") from error

    def file_of(self, key: str) -> Path:
        """Where an object of the store lies in the backup.

        Raises:
            StackError: the key would lead out of it.
        """
        parts = key.split("/")
        if {"", ".", ".."} & set(parts):
            raise StackError(f"{key!r} cannot be the name of a file")
        return self.path.parent.joinpath(_OBJECTS, *parts)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """The one who changes a folder of backups, while the block runs; what a killed one left is removed before.

    Raises:
        StackError: somebody is changing it.
    """
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StackError(f"another backup is being taken into {folder}") from error
        for begun in folder.glob(f"*{_UNFINISHED}"):
            shutil.rmtree(begun)
        yield


def finished(folder: Path) -> list[Backup]:
    """The backups of a folder, oldest first."""
    found = sorted(path.parent for path in folder.glob(f"*/{_MANIFEST}") if path.parent.suffix != _UNFINISHED)
    return [Backup(path) for path in found]


def known_objects(folder: Path) -> dict[str, Entry]:
    """Every object that a backup of the folder lists, as the newest has it."""
    return {entry.key: entry for backup in finished(folder) for entry in read(backup.objects, Entry)}


def prune(folder: Path) -> int:
    """Remove the objects that no backup lists any more, and return how many."""
    listed = known_objects(folder).keys()
    root = folder / _OBJECTS
    unlisted = [path for path in root.rglob("*") if path.is_file() and str(path.relative_to(root)) not in listed]
    for path in unlisted:
        path.unlink()
    return len(unlisted)


def read(path: Path, kind: type[ModelT]) -> Iterator[ModelT]:
    """The lines of a file, one by one."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield kind.model_validate_json(line)


def write(path: Path, models: Iterable[BaseModel]) -> None:
    """Write a file with a line for each."""
    with path.open("w", encoding="utf-8") as lines:
        lines.writelines(f"{each.model_dump_json()}\n" for each in models)


def sha256(path: Path) -> str:
    """The digest of a file's content, in hexadecimal."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
