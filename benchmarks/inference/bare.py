"""The runtime by itself: no server, no broker, no store. Everything here runs in a process of its own (`apart`)."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from typing import Literal
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from benchmarks.errors import BenchmarkError
from inference_service.bundles import Bundle, load_bundle
from inference_service.bundles.image_spec import ImageSpec
from inference_service.engine import torch_runtime
from inference_service.engine.choice import choose_runtime
from inference_service.engine.explanation import ClosedFormExplainer, Explainer, choose_explainer
from inference_service.engine.network import as_timm, load_network
from inference_service.engine.runtime import Runtime, RuntimeName
from inference_service.imaging import prepare_frames
from inference_service.settings import ServerSettings

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured."""

    bundle_dir: Path
    device: Device


def chosen_runtime(subject: Subject) -> tuple[RuntimeName, str]:
    """Name and description of what `auto`, or the environment, chooses; loads the model."""
    runtime = load_runtime(subject)
    return runtime.name, runtime.description


def images_per_s(subject: Subject, contents: Sequence[bytes], *, batch_size: int, seconds: float) -> float:
    """Prepared images that the runtime computes in a second, in batches of one size, measured for so long."""
    batch = _batch(subject, contents, batch_size)
    runtime = load_runtime(subject)
    runtime.infer(batch)
    done, started = 0, perf_counter()
    while (elapsed := perf_counter() - started) < seconds or not done:
        runtime.infer(batch)
        done += batch_size
    return done / elapsed


def decode_and_compute_s(subject: Subject, content: bytes) -> float:
    """Seconds for one DICOM file: prepared, then alone in a batch."""
    runtime, spec = load_runtime(subject), _bundle(subject).manifest.image
    started = perf_counter()
    runtime.infer(_prepare(content, spec)[np.newaxis])
    return perf_counter() - started


def cost_of_maps(subject: Subject, contents: Sequence[bytes], *, batch_size: int, pairs: int) -> list[float]:
    """Time of a batch with maps divided by its time without them, pair by pair, each first in turn."""
    batch = _batch(subject, contents, batch_size)
    with_maps, without = load_runtime(subject), load_runtime_without_maps(subject)
    for runtime in (with_maps, without) * 2:
        runtime.infer(batch)
    ratios = []
    for number in range(pairs):
        if number % 2:
            without_s, with_s = _timed(without, batch), _timed(with_maps, batch)
        else:
            with_s, without_s = _timed(with_maps, batch), _timed(without, batch)
        ratios.append(with_s / without_s)
    return ratios


def _timed(runtime: Runtime, batch_ncyx: npt.NDArray[np.uint8]) -> float:
    started = perf_counter()
    runtime.infer(batch_ncyx)
    return perf_counter() - started


def _batch(subject: Subject, contents: Sequence[bytes], batch_size: int) -> npt.NDArray[np.uint8]:
    spec = _bundle(subject).manifest.image
    return np.stack([_prepare(content, spec) for content in islice(cycle(contents), batch_size)])


def _prepare(content: bytes, spec: ImageSpec) -> npt.NDArray[np.uint8]:
    (frame,) = prepare_frames(content, spec)
    return frame.image_cyx


@cache
def _bundle(subject: Subject) -> Bundle:
    return load_bundle(subject.bundle_dir)


@cache
def load_runtime(subject: Subject) -> Runtime:
    """The one that a model server with the settings of this environment takes."""
    settings = ServerSettings(bundle_dirs=(subject.bundle_dir,))
    bundle = _bundle(subject)
    return choose_runtime(load_network(bundle), bundle.manifest, device=subject.device, runtime=settings.runtime)


@cache
def load_runtime_without_maps(subject: Subject) -> Runtime:
    """The same, made in the same way, but for the maps.

    Raises:
        BenchmarkError: the network's maps need a backward pass.
        RuntimeRefused: what serves with maps cannot be had without them.
    """
    bundle, name = _bundle(subject), load_runtime(subject).name
    # There is no way in: nobody else wants a runtime without maps.
    with patch.object(torch_runtime, "choose_explainer", _choose_probability_only):
        return choose_runtime(load_network(bundle), bundle.manifest, device=subject.device, runtime=name)


def _choose_probability_only(model: nn.Module, *, input_channels: int, size_px: int) -> Explainer:
    explainer = choose_explainer(model, input_channels=input_channels, size_px=size_px)
    if not isinstance(explainer, ClosedFormExplainer):
        raise BenchmarkError("the network has no closed form of Grad-CAM whose cost could be measured")
    return _ProbabilityOnly(explainer)


class _ProbabilityOnly(ClosedFormExplainer):
    """The logit in the place of the map, so that nothing but the map is left out."""

    def __init__(self, explained: ClosedFormExplainer) -> None:
        self.network = explained.network
        self._head = deepcopy(as_timm(self.network).get_classifier()).float().requires_grad_(requires_grad=False)

    def compute(self, batch_nchw: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and each again as a map of one cell."""
        features = as_timm(self.network).forward_features(batch_nchw).float()
        logits = self._head(features.mean(dim=(2, 3)))[:, 0]
        return logits, logits.reshape(-1, 1, 1)
