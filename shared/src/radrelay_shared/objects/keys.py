"""Where each object lies. A key starts with its tenant, so that a policy on a prefix keeps tenants apart."""

from uuid import UUID


def instance(tenant: str, instance_id: UUID) -> str:
    """The DICOM file as received."""
    return f"{tenant}/instances/{instance_id}.dcm"


def preview(tenant: str, instance_id: UUID, model_digest: str) -> str:
    """8-bit greyscale PNG as the model's window shows the image."""
    return f"{_results(tenant, instance_id, model_digest)}/preview.png"


def overlay(tenant: str, instance_id: UUID, model_digest: str) -> str:
    """Transparent RGBA PNG of the heatmap, the size of the preview."""
    return f"{_results(tenant, instance_id, model_digest)}/overlay.png"


def cam(tenant: str, instance_id: UUID, model_digest: str) -> str:
    """Raw Grad-CAM map, .npy float32 (rows, columns)."""
    return f"{_results(tenant, instance_id, model_digest)}/cam.npy"


def shadow(tenant: str, instance_id: UUID, model_digest: str) -> str:
    """What a model on trial said of the image: the `inference.shadow_scored` event as JSON."""
    return f"{_results(tenant, instance_id, model_digest)}/shadow.json"


def _results(tenant: str, instance_id: UUID, model_digest: str) -> str:
    return f"{tenant}/results/{instance_id}/{model_digest.removeprefix('sha256:')}"
