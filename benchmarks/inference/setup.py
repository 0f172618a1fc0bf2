"""What every measurement needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.execution import Say
from benchmarks.inference.apart import Apart
from benchmarks.inference.bare import Subject
from benchmarks.inference.plan import Plan
from benchmarks.layout import Layout
from inference_service.engine.runtime import RuntimeName


@dataclass(frozen=True, slots=True)
class Setup:
    """One model on one device, the images, and the process that computes for comparison."""

    subject: Subject
    runtime: RuntimeName
    plan: Plan
    layout: Layout
    contents: Sequence[bytes]
    """DICOM files."""
    apart: Apart
    """Where the bare runtime and the naive design compute, each in its turn."""
    say: Say
