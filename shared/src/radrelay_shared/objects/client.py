"""The S3 server: where it is, who we are there, and clients for it."""

from dataclasses import dataclass

import urllib3
from minio import Minio
from pydantic import BaseModel, Field, SecretStr

_BLOCK_BYTES = 256 * 1024
"""A file is read and sent in steps of this."""


class ObjectStoreSettings(BaseModel):
    """Where the S3 server is and who we are there."""

    endpoint: str
    """host:port, without a scheme."""
    access_key: str
    secret_key: SecretStr
    bucket_prefix: str = Field(default="radrelay", pattern=r"^[a-z0-9][a-z0-9-]{0,30}[a-z0-9]$")
    """A tenant's bucket is called by this, a hyphen and the tenant. No other installation on the same server may have
    a prefix that starts with this one and a hyphen."""
    secure: bool = True
    region: str = "us-east-1"
    connections: int = 16
    timeout_s: float = 20.0
    """How long the server may be silent; a request that it leaves unanswered is sent twice."""

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self.secure else 'http'}://{self.endpoint}"


@dataclass(frozen=True, slots=True)
class S3Clients:
    """A client for S3, and the connections under it. Both may be used by many threads."""

    minio: Minio
    http: urllib3.PoolManager


def open_clients(settings: ObjectStoreSettings) -> S3Clients:
    """Clients that try again where the server stumbles; nothing is connected yet."""
    http = urllib3.PoolManager(
        maxsize=settings.connections,
        timeout=urllib3.Timeout(connect=5.0, read=settings.timeout_s),
        retries=urllib3.Retry(total=3, read=1, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
        blocksize=_BLOCK_BYTES,
    )
    minio = Minio(
        endpoint=settings.endpoint,
        access_key=settings.access_key,
        secret_key=settings.secret_key.get_secret_value(),
        secure=settings.secure,
        region=settings.region,
        http_client=http,
    )
    return S3Clients(minio, http)
