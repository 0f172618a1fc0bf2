"""Where each object lies. A key starts with its tenant, so that a policy on a prefix keeps tenants apart."""

from uuid import UUID


def instances(tenant: str) -> str:
    """What the keys of a tenant's DICOM files start with."""
    return f"{tenant}/instances/"


def instance(tenant: str, instance_id: UUID) -> str:
    """The DICOM file as received."""
    return f"{instances(tenant)}{instance_id}.dcm"


def all_rejected(tenant: str) -> str:
    """What the keys of a tenant's rejected files start with."""
    return f"{tenant}/rejected/"


def rejected(tenant: str, rejected_id: UUID) -> str:
    """A file that was refused, as received, kept for a time."""
    return f"{all_rejected(tenant)}{rejected_id}"


def upload_parts(tenant: str, upload_id: UUID) -> str:
    """What the keys of all parts of a resumable upload begin with."""
    return f"{tenant}/uploads/{upload_id}/"


def upload_part(tenant: str, upload_id: UUID, first_byte: int, sha256: str) -> str:
    """A part of a resumable upload: by its place, and by its content, as several requests may race for one place."""
    return f"{upload_parts(tenant, upload_id)}{first_byte:020}-{sha256}"


def renderings(tenant: str, report_id: UUID) -> str:
    """What the keys of all pictures begin with that were drawn of a report and kept."""
    return f"{tenant}/renderings/{report_id}/"


def results(tenant: str, instance_id: UUID) -> str:
    """What the keys of all that models said of an image begin with."""
    return f"{tenant}/results/{instance_id}/"


def rendering(tenant: str, report_id: UUID, digest: str) -> str:
    """A picture of a report; the digest is of all that it is drawn from."""
    return f"{renderings(tenant, report_id)}{digest}.png"


def shadow(tenant: str, instance_id: UUID, model_digest: str) -> str:
    """What a model on trial said of the image: the `inference.shadow_scored` event as JSON."""
    return f"{results(tenant, instance_id)}{model_digest.removeprefix('sha256:')}/shadow.json"
