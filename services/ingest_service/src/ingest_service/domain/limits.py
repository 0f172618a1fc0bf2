"""The bounds that hostile input meets before it costs memory."""

from dataclasses import dataclass

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class DicomLimits:
    """Bounds on one DICOM file; all in bytes."""

    max_inflated_bytes: int = 2 * GIB
    """What a deflated data set may expand to."""
    max_pixel_bytes: int = 2 * GIB
    """What all frames may take once decoded."""
    max_value_bytes: int = 64 * 1024
    """Longer values are skipped, not read."""
    max_depth: int = 100
    """Sequences within sequences."""


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Bounds on one ZIP archive."""

    max_entries: int = 20_000
    max_entry_bytes: int = 2 * GIB
    max_total_bytes: int = 32 * GIB
    """Sum of the sizes that the entries expand to."""
    max_ratio: float = 200.0
    """Expanded size over archive size; counts only past `ratio_floor_bytes`, as black images compress very well."""
    ratio_floor_bytes: int = 256 * MIB
    max_directory_bytes: int = 6 * MIB
