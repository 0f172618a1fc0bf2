"""What can be set of the DICOM network intake."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from radrelay_shared.events import TENANT_PATTERN, Urgency

AeTitle = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[ -\[\]-~]{1,16}$")]
"""1 to 16 printable ASCII characters without a backslash (PS3.5 section 6.2, VR AE)."""


class Peer(BaseModel):
    """A pair of AE titles that is known, and whose images it brings."""

    calling_ae: AeTitle
    called_ae: AeTitle | None = None
    """The title that it calls us by; our own AE title where not set."""
    tenant: str = Field(pattern=TENANT_PATTERN)
    owner_id: str = Field(min_length=1, max_length=255)
    priority: Urgency = Urgency.ROUTINE


class TlsSettings(BaseModel):
    """TLS 1.2 or newer; PEM files."""

    certificate: Path
    """Ours, followed by those that lead to its authority."""
    key: Path
    client_ca: Path | None = None
    """Where set, peers must show a certificate of one of these authorities."""


class DimseSettings(BaseModel):
    """The DICOM network intake."""

    ae_title: AeTitle = "RADRELAY"
    host: str = "0.0.0.0"
    port: int = 11112
    health_host: str = "0.0.0.0"
    health_port: int = 9102
    peers: list[Peer] = Field(default_factory=list)
    """Whoever is not in this list is rejected."""
    max_associations: int = Field(default=20, gt=0)
    max_pdu_bytes: int = Field(default=128 * 1024, ge=4096, le=1 << 20)
    """The longest P-DATA-TF that we offer to take."""
    acse_timeout_s: float = Field(default=30.0, gt=0)
    """From the connection to the association request."""
    dimse_timeout_s: float = Field(default=50.0, gt=0)
    """From the last byte of an image to our answer; what takes longer is answered 0xA700."""
    network_timeout_s: float = Field(default=60.0, gt=0)
    """How long a peer may be silent, or take for one PDU, before its association is aborted."""
    grace_s: float = Field(default=30.0, ge=0)
    """How long associations may go on after SIGTERM."""
    tls: TlsSettings | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.dimse_timeout_s >= self.network_timeout_s:
            # The peer is silent while it waits for our answer.
            raise ValueError("dimse_timeout_s must be shorter than network_timeout_s")
        if len(self.peers_by_titles()) < len(self.peers):
            raise ValueError("peers: two entries have the same calling and called AE title")
        return self

    def peers_by_titles(self) -> dict[tuple[str, str], Peer]:
        """Peers by calling and called AE title."""
        return {(peer.calling_ae, peer.called_ae or self.ae_title): peer for peer in self.peers}
