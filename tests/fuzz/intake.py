"""Hostile files sent to a running ingest API, and what became of each."""

import asyncio
import io
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from time import perf_counter
from typing import Any, Final

import httpx

from ingest_service.domain.reasons import RejectReason
from support.dicom_tokens import Sample
from support.ingest_api import IngestUser
from support.mutations import damage, mutate

_FILES_A_REQUEST: Final = 40
"""No more than there are samples: each file of a request is made of another one, so that few are conflicts."""
_AT_A_TIME: Final = 2
_OUR_FAULTS: Final = frozenset({RejectReason.VALIDATION_TIMEOUT, RejectReason.VALIDATION_CRASHED})
"""These keep the service up, but no mutated file should get so far."""
_BOUNDARY: Final = b"boundary"


class Shape(StrEnum):
    """How the files of a request are sent."""

    PARTS = "parts"
    ARCHIVE = "archive"
    DAMAGED_ARCHIVE = "damaged archive"
    DAMAGED_BODY = "damaged body"


_SHAPES: Final = (
    Shape.PARTS, Shape.ARCHIVE, Shape.PARTS, Shape.DAMAGED_ARCHIVE, Shape.PARTS, Shape.ARCHIVE, Shape.PARTS,
    Shape.DAMAGED_BODY,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Upload:
    """One request of hostile files; the same seed and number make the same."""

    number: int
    shape: Shape
    files: Mapping[str, bytes]
    body: bytes


@dataclass(slots=True)
class IntakeFindings:
    """What the service did."""

    files: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """Files by reason code, and `accepted`."""
    problems: Counter[str] = field(default_factory=Counter)
    """Requests that were refused as such, by the problem's code."""
    slowest_request_s: float = 0.0
    faults: list[tuple[str, Upload]] = field(default_factory=list)
    """What must not be, and the request that showed it."""


async def fuzz_intake(
    user: Callable[[str], IngestUser],
    samples: Sequence[Sample],
    *,
    files: int,
    seed: int,
) -> IntakeFindings:
    """Send `files` mutated files, and look at every answer.

    `user` makes a user of a name: each request has its own, as the same SOP instances come again and again.
    """
    findings = IntakeFindings()
    uploads = iter(make_uploads(samples, files=files, seed=seed))

    async def send() -> None:
        for upload in uploads:
            await _send(user(f"dr-{upload.number}"), upload, findings)

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_A_TIME):
            group.create_task(send())
    return findings


def make_uploads(samples: Sequence[Sample], *, files: int, seed: int) -> Iterator[Upload]:
    """The requests, with `files` files in all."""
    for number, first in enumerate(range(0, files, _FILES_A_REQUEST)):
        random = Random(f"{seed}-{number}")
        contents = {
            f"{index}.dcm": mutate(samples[index % len(samples)], random.choice(samples), random)
            for index in range(first, min(first + _FILES_A_REQUEST, files))
        }
        yield _upload(number, contents, random)


def _upload(number: int, files: Mapping[str, bytes], random: Random) -> Upload:
    shape = _SHAPES[number % len(_SHAPES)]
    if shape in {Shape.ARCHIVE, Shape.DAMAGED_ARCHIVE}:
        archive = _archive(files)
        sent = {"s.zip": damage(archive, random) if shape is Shape.DAMAGED_ARCHIVE else archive}
        files = {f"s.zip/{name}": content for name, content in files.items()}
    else:
        sent = dict(files)
    body = b"".join(_part(name, content) for name, content in sent.items()) + b"--" + _BOUNDARY + b"--\r\n"
    return Upload(number, shape, files, damage(body, random) if shape is Shape.DAMAGED_BODY else body)


async def _send(user: IngestUser, upload: Upload, findings: IntakeFindings) -> None:
    batch_id = await user.open_batch()
    began = perf_counter()
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY.decode()}"}
    try:
        response = await user.call("POST", f"/{batch_id}/files", content=upload.body, headers=headers)
    except httpx.TransportError as error:
        findings.faults.append((f"no answer: {type(error).__name__}", upload))
        return
    findings.slowest_request_s = max(findings.slowest_request_s, perf_counter() - began)
    findings.files += len(upload.files)
    if response.status_code == 200:
        _judge(response.json(), upload, findings)
    elif upload.shape is Shape.DAMAGED_BODY and 400 <= response.status_code < 500:
        findings.problems[response.json()["code"]] += 1
    else:
        findings.faults.append((f"answered {response.status_code}", upload))


def _judge(answer: Mapping[str, Any], upload: Upload, findings: IntakeFindings) -> None:
    reasons = {each["name"]: each["reason"] for each in answer["rejected"]}
    findings.outcomes.update(reasons.values())
    findings.outcomes["accepted"] += len(answer["accepted"])
    unknown = set(reasons.values()) - set(RejectReason)
    ours = _OUR_FAULTS.intersection(reasons.values())
    findings.faults += [(f"refused as {reason}", upload) for reason in sorted(unknown | ours)]
    named = reasons.keys() | {each["name"] for each in answer["accepted"]}
    expected = upload.files.keys() if upload.shape in {Shape.PARTS, Shape.ARCHIVE} else named or {"anything"}
    if named != expected:
        findings.faults.append(("files without an outcome", upload))


def _archive(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression=zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _part(name: str, content: bytes) -> bytes:
    head = f'Content-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    return b"--" + _BOUNDARY + b"\r\n" + head.encode() + content + b"\r\n"
