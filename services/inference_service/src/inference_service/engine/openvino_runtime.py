"""The network on OpenVINO, for CPUs."""

import importlib
import logging
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from inference_service.bundles.manifest import BundleManifest
from inference_service.cores import available_cores
from inference_service.engine.explanation import ClosedFormExplainer
from inference_service.engine.normalization import affine
from inference_service.engine.runtime import RuntimeName, RuntimeOutput

_CPU_FLAGS = Path("/proc/cpuinfo")
_PRECISIONS: dict[str, str] = {"openvino-bfloat16": "bf16", "openvino-float32": "f32"}
_MAX_STREAMS = 8
"""The largest batch, as the server is set up by default; more streams would cost memory and stay empty."""

_Outputs = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Logits (1,) and maps (1, y, x)."""

_log = logging.getLogger(__name__)


class UnconvertibleNetwork(RuntimeError):
    """OpenVINO does not take the network."""


@dataclass(frozen=True, slots=True)
class ConvertedNetwork:
    """From levels of 0..255 to logits and maps, for any number of images."""

    openvino: Any
    """The library."""
    model: Any
    shape_cyx: tuple[int, int, int]


class OpenVinoRuntime:
    """Runs a converted network, of which it keeps no PyTorch weights. Only one thread may call it at a time.

    Images are computed one by one, so that an image's numbers do not depend, not even in the last bit, on the images
    that happen to come with it. A lone image gets all cores; of a batch, as many images at once as there are streams
    get a share of the cores each, which are then spared waiting for each other. Where the two ways differ in a bit,
    all images take the first.

    Measured with EfficientNet-B4 in bfloat16 on 2 cores, batches of 8, median of 9 interleaved runs, as ratios to one
    stream: two streams take 0.70 to 0.82 of the time at 192 px and 0.93 at 380 px, and 0.70 and 0.73 where other work
    fills the machine; one call with 4 or 8 images takes 0.73 to 0.97. The second compiled network takes 70 to 90 MB.
    """

    def __init__(self, network: ConvertedNetwork, name: RuntimeName) -> None:
        """Compile in the precision that the name says."""
        precision, cores = _PRECISIONS[name], available_cores()
        self._name, self._version = name, network.openvino.__version__.split("-")[0]
        self._request = _compile(network, precision, cores=cores, streams=1).create_infer_request()
        self._streams = min(cores, _MAX_STREAMS)
        if self._streams > 1:
            compiled = _compile(network, precision, cores=cores, streams=self._streams)
            # Not OpenVINO's own queue: its threads take Python's lock to forget a callback, after the last result is
            # there. Whoever drops the network then holds that lock and waits for those threads: both for ever.
            self._threads = ThreadPoolExecutor(self._streams, "openvino")
            self._idle: SimpleQueue[Any] = SimpleQueue()
            for _ in range(self._streams):
                self._idle.put(compiled.create_infer_request())
            if not self._streams_agree(network.shape_cyx):
                _log.warning("images take turns: in streams their last bits differ", extra={"runtime": name})
                self._streams = 1
                del self._threads, self._idle

    @property
    def name(self) -> RuntimeName:
        """See `Runtime`."""
        return self._name

    @property
    def description(self) -> str:
        """See `Runtime`."""
        return f"openvino {self._version} cpu {self._name.removeprefix('openvino-')}"

    def infer(self, batch_ncyx: npt.NDArray[np.uint8]) -> RuntimeOutput:
        """Expand, normalise and run a batch; see `Runtime`."""
        in_streams = len(batch_ncyx) // self._streams * self._streams if self._streams > 1 else 0
        outputs = self._infer_in_streams(batch_ncyx[:in_streams]) if in_streams else []
        outputs += [_infer(self._request, image_cyx) for image_cyx in batch_ncyx[in_streams:]]
        return RuntimeOutput(
            np.concatenate([logits_n for logits_n, _ in outputs]),
            np.concatenate([cams_nyx for _, cams_nyx in outputs]),
        )

    def _infer_in_streams(self, images_ncyx: npt.NDArray[np.uint8]) -> list[_Outputs]:
        return list(self._threads.map(self._infer_in_a_stream, images_ncyx))

    def _infer_in_a_stream(self, image_cyx: npt.NDArray[np.uint8]) -> _Outputs:
        request = self._idle.get()
        try:
            return _infer(request, image_cyx)
        finally:
            self._idle.put(request)

    def _streams_agree(self, shape_cyx: tuple[int, int, int]) -> bool:
        noise_ncyx = np.random.default_rng(0).integers(0, 256, (self._streams, *shape_cyx), np.uint8)
        alone = [_infer(self._request, image_cyx) for image_cyx in noise_ncyx]
        together = self._infer_in_streams(noise_ncyx)
        return all(
            np.array_equal(one, other)
            for pair in zip(alone, together, strict=True)
            for one, other in zip(*pair, strict=True)
        )


def _infer(request: Any, image_cyx: npt.NDArray[np.uint8]) -> _Outputs:
    results = request.infer([image_cyx[np.newaxis]])  # in and out, OpenVINO copies
    return results[0], results[1]


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


def convert(explainer: ClosedFormExplainer, manifest: BundleManifest) -> ConvertedNetwork:
    """Trace and convert.

    Args:
        explainer: of a float32 network on the CPU, in evaluation mode.
        manifest: of the same bundle.

    Raises:
        UnconvertibleNetwork: PyTorch cannot trace it, or OpenVINO lacks an operation.
    """
    openvino = _import_openvino()
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
            model = openvino.convert_model(traced, example_input=example, input=[shape])
    except Exception as error:  # several of the converter's errors have no other base
        raise UnconvertibleNetwork(" ".join(str(error).split())[:500]) from error
    return ConvertedNetwork(openvino, model, shape_cyx)


def computes_in_bfloat16(cpu_flags: Path = _CPU_FLAGS) -> bool:
    """Whether the processor has instructions for it: emulated, it would be slower than float32 and no better."""
    flags = cpu_flags.read_text().split() if cpu_flags.exists() else []
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _compile(network: ConvertedNetwork, precision: str, *, cores: int, streams: int) -> Any:
    options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": cores, "NUM_STREAMS": streams}
    return network.openvino.Core().compile_model(network.model, "CPU", options)
