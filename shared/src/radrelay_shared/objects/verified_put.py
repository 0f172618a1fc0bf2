"""Storing a file whose digest is known, in one request that the server verifies.

The `minio` client has no conditions, and reads content once more for a digest of its own. Here the digest that is known
is part of the signature, so that a server keeps these bytes or none; it is also given as the object's checksum, which
servers that know checksums keep and tell. One request takes at most 5 GiB.
Sources: Amazon S3 API Reference, "PutObject"; "Authenticating Requests (AWS Signature Version 4)", signed payload.
"""

import base64
import binascii
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import urllib3
from minio import time
from minio.credentials.providers import StaticProvider
from minio.error import S3Error, ServerError
from minio.helpers import DictType
from minio.signer import sign_v4_s3

from radrelay_shared.objects.buckets import Place
from radrelay_shared.objects.client import ObjectStoreSettings

CHECKSUM_HEADER: Final = "x-amz-checksum-sha256"
_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class FileUpload:
    """A file on its way into the store."""

    place: Place
    path: Path
    size_bytes: int
    sha256: str
    """Lower-case hexadecimal digest of its content."""
    content_type: str


def put_verified(
    http: urllib3.PoolManager, settings: ObjectStoreSettings, upload: FileUpload, *, only_if_absent: bool
) -> bool:
    """Store the file; return False where there is an object already and `only_if_absent` is asked for.

    A server that knows no conditions replaces what is there.

    Raises:
        S3Error, ServerError: the server refuses, also where what it got has another digest.
        urllib3.exceptions.HTTPError: it is away.
    """
    url = urlsplit(f"{settings.origin}/{upload.place.bucket}/{quote(upload.place.name)}")
    now = time.utcnow()
    headers: DictType = {
        "Host": url.netloc,
        "Content-Length": str(upload.size_bytes),
        "Content-Type": upload.content_type,
        "x-amz-date": time.to_amz_date(now),
        "x-amz-content-sha256": upload.sha256,
        CHECKSUM_HEADER: base64.b64encode(bytes.fromhex(upload.sha256)).decode(),
    }
    if only_if_absent:
        headers["If-None-Match"] = "*"
    signed = sign_v4_s3(
        method="PUT",
        url=url,
        region=settings.region,
        headers=headers,
        credentials=StaticProvider(settings.access_key, settings.secret_key.get_secret_value()).retrieve(),
        content_sha256=upload.sha256,
        date=now,
    )
    with upload.path.open("rb") as content:
        response = http.urlopen("PUT", url.geturl(), body=content, headers=signed, redirect=False)
    if response.status == HTTPStatus.PRECONDITION_FAILED and only_if_absent:
        return False
    if response.status != HTTPStatus.OK:
        raise _refusal(response)
    return True


def _refusal(response: urllib3.BaseHTTPResponse) -> Exception:
    if response.data and response.headers.get("content-type", "").startswith("application/xml"):
        return S3Error.fromxml(response)
    return ServerError(f"the store answered {response.status}", response.status)


def sha256_of(checksum: str | None) -> str | None:
    """The digest, in hexadecimal, that a server keeps of an object; None where it is none of the whole content."""
    try:
        digest = base64.b64decode(checksum or "", validate=True)
    except binascii.Error:
        return None  # of an object of several parts: a digest of digests, and a count
    return digest.hex() if len(digest) == _DIGEST_BYTES else None
