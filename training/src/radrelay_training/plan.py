"""What is trained, on what, and for how long: everything that the result depends on."""

import hashlib
import json
from dataclasses import asdict, dataclass

from pydicom.uid import CTImageStorage, EnhancedCTImageStorage

from inference_service.bundles.image_spec import Accepts, CtWindow, CtWindows, EveryFrame, ImageSpec

WINDOWS = CtWindows(
    kind="ct_windows",
    windows=(
        CtWindow(name="brain", center_hu=40.0, width_hu=80.0),
        CtWindow(name="subdural", center_hu=80.0, width_hu=200.0),
        CtWindow(name="bone", center_hu=600.0, width_hu=2800.0),
    ),
)
HEAD_CT = Accepts(
    modalities=("CT",),
    sop_class_uids=(CTImageStorage, EnhancedCTImageStorage),
    body_parts=("HEAD", "BRAIN", "SKULL"),
)
CHANNEL_MEAN = 0.5
CHANNEL_STD = 0.25


@dataclass(frozen=True, slots=True)
class Split:
    """A range of phantom seeds; splits never share one."""

    name: str
    first_seed: int
    count: int


@dataclass(frozen=True, slots=True)
class Stage:
    """Some epochs at one resolution, with one cycle of the learning rate."""

    size_px: int
    images: int
    epochs: int
    batch: int
    peak_learning_rate: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole of a training: same plan, same seeds, same data."""

    seed: int
    stages: tuple[Stage, ...]
    train: Split
    validation: Split
    calibration: Split
    test: Split
    prevalence: float = 0.5
    difficulty: float = 0.5
    phantom_px: int = 256
    timm_name: str = "efficientnet_b4"

    @property
    def served_px(self) -> int:
        """The side of the bundle's input: the last stage's."""
        return self.stages[-1].size_px

    def fingerprint(self) -> str:
        """Short name of the plan, for its folder of checkpoints."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


DEMONSTRATION = Plan(
    seed=20_261,
    stages=(
        Stage(size_px=128, images=4000, epochs=6, batch=16, peak_learning_rate=1.2e-3),
        Stage(size_px=192, images=4000, epochs=2, batch=16, peak_learning_rate=4e-4),
    ),
    train=Split("train", 1_000_000, 8000),
    validation=Split("validation", 2_000_000, 400),
    calibration=Split("calibration", 3_000_000, 4000),
    test=Split("test", 4_000_000, 4000),
)


def image_spec(size_px: int) -> ImageSpec:
    """What the network takes, at one resolution: every slice of a head CT, in three windows."""
    return ImageSpec(size_px=size_px, accepts=HEAD_CT, channels=WINDOWS, frames=EveryFrame(rule="every"))
