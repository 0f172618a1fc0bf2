"""The network on OpenVINO, for CPUs: bfloat16 where the processor computes in it, else float32."""

import importlib
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from inference_service.bundles.manifest import BundleManifest
from inference_service.cores import available_cores
from inference_service.engine.explanation import ClosedFormExplainer
from inference_service.engine.normalization import affine
from inference_service.engine.runtime import RuntimeOutput

_CPU_FLAGS = Path("/proc/cpuinfo")


class UnconvertibleNetwork(RuntimeError):
    """OpenVINO does not take the network."""


class OpenVinoRuntime:
    """Runs a converted network, of which it keeps no PyTorch weights. Only one thread may call it at a time.

    Images are computed one by one, so that an image's numbers do not depend, not even in the last bit, on the images
    that happen to come with it.
    """

    def __init__(self, explainer: ClosedFormExplainer, manifest: BundleManifest) -> None:
        """Convert and compile.

        Args:
            explainer: of a float32 network on the CPU, in evaluation mode.
            manifest: of the same bundle.

        Raises:
            UnconvertibleNetwork: PyTorch cannot trace it, or OpenVINO lacks an operation.
        """
        openvino = _import_openvino()
        compiled = _compile(openvino, _convert(openvino, explainer, manifest))
        self._request = compiled.create_infer_request()
        precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self._precision = _NAMES.get(precision, precision)
        version = openvino.__version__.split("-")[0]
        self._description = f"openvino {version} cpu {self._precision}"

    @property
    def name(self) -> str:
        """Machine-readable name; see `Runtime`."""
        return f"openvino-{self._precision}"

    @property
    def description(self) -> str:
        """Library, device and precision."""
        return self._description

    def shapes_up_to(self, max_batch_size: int) -> Sequence[int]:
        """Always one; see `Runtime`."""
        return [1]

    def infer(self, batch_ncyx: npt.NDArray[np.uint8]) -> RuntimeOutput:
        """Expand, normalise and run a batch; see `Runtime`."""
        outputs = [self._infer_one(image_cyx) for image_cyx in batch_ncyx]
        return RuntimeOutput(
            np.concatenate([logits_n for logits_n, _ in outputs]),
            np.concatenate([cams_nyx for _, cams_nyx in outputs]),
        )

    def _infer_one(self, image_cyx: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        results = self._request.infer([image_cyx[np.newaxis]])  # in and out, OpenVINO copies
        return results[0], results[1]


_NAMES = {"bf16": "bfloat16", "f32": "float32", "f16": "float16"}


class _Graph(nn.Module):
    """What is converted: from levels to logits and maps."""

    def __init__(self, explainer: ClosedFormExplainer, manifest: BundleManifest) -> None:
        super().__init__()
        self.network = explainer.network
        self._compute = explainer.compute
        self._channels = manifest.architecture.input_channels
        scale, shift = (torch.tensor(values).view(1, -1, 1, 1) for values in affine(manifest))
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, levels_ncyx: Tensor) -> tuple[Tensor, Tensor]:
        batch_nchw = levels_ncyx.to(torch.float32).expand(-1, self._channels, -1, -1)
        return self._compute(batch_nchw * self.get_buffer("scale") + self.get_buffer("shift"))


def _import_openvino() -> Any:
    """The library without its telemetry.

    On import it reports to Google Analytics unless a file in the home directory says no. With the telemetry package
    marked as absent, it takes its own stub instead.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None is how Python marks a module as absent
    return importlib.import_module("openvino")


def _convert(openvino: Any, explainer: ClosedFormExplainer, manifest: BundleManifest) -> Any:
    shape_cyx = manifest.image.shape_cyx
    example = torch.zeros(1, *shape_cyx, dtype=torch.uint8)
    graph = _Graph(explainer, manifest).eval()
    try:
        # Not inference mode: its tensors cannot be traced.
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # tracing is deprecated, and what OpenVINO converts
            # What a trace gets wrong, the check at start finds.
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]  # public, but not in __all__
            # Handed the module itself, OpenVINO traces with checks: 28 s, not 8 s, for EfficientNet-B4 on 2 busy cores.
            traced = torch.jit.trace(graph, example, check_trace=False)  # type: ignore[no-untyped-call]  # PyTorch's own
            shape = openvino.PartialShape([-1, *shape_cyx])
            return openvino.convert_model(traced, example_input=example, input=[shape])
    except Exception as error:  # several of the converter's errors have no other base
        raise UnconvertibleNetwork(" ".join(str(error).split())[:500]) from error


def _compile(openvino: Any, graph: Any) -> Any:
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if _computes_in_bfloat16() else "f32",
        "INFERENCE_NUM_THREADS": available_cores(),
        "NUM_STREAMS": 1,
    }
    return openvino.Core().compile_model(graph, "CPU", options)


def _computes_in_bfloat16(cpu_flags: Path = _CPU_FLAGS) -> bool:
    """Whether the processor has instructions for it: emulated, it would be slower than float32 and no better."""
    flags = cpu_flags.read_text().split() if cpu_flags.exists() else []
    return "avx512_bf16" in flags or "amx_bf16" in flags
