"""Logits, calibrated probabilities and maps, held to the reference."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import RawScoresOutputTarget
from sklearn.isotonic import IsotonicRegression
from torch import nn

from inference_service.bundles import Bundle, BundleError, load_bundle
from inference_service.bundles.manifest import CalibrationSpec, IsotonicKnots
from inference_service.cores import available_cores
from inference_service.engine.backward_explanation import GradCamExplainer
from inference_service.engine.calibration import calibrate, sigmoid
from inference_service.engine.choice import PROBABILITY_TOLERANCE, probability_difference
from inference_service.engine.explanation import (
    ClosedFormExplainer,
    Explainer,
    choose_explainer,
    linear_head,
)
from inference_service.engine.network import as_timm, create_network, load_network
from inference_service.engine.runtime import RuntimeName, RuntimeOutput
from inference_service.engine.screening import ImageFault, ImageScore, ScreeningEngine
from inference_service.engine.torch_runtime import TorchRuntime
from support.untrained import write_untrained

GRAD_CAM_TOLERANCE = 1e-3


def images(bundle: Bundle, count: int, seed: int = 0) -> list[npt.NDArray[np.uint8]]:
    """Coarse patterns: noise of single pixels is no picture."""
    size = bundle.manifest.image.size_px
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 3, 8, 8), dtype=np.uint8)
    fine = nn.functional.interpolate(torch.from_numpy(coarse).float(), size=(size, size), mode="bilinear")
    return list(fine.byte().numpy())


def reference_maps(
    model: nn.Module, layer: nn.Module, batch: torch.Tensor
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Raw maps of pytorch-grad-cam, and the same scaled and enlarged as it hands them out."""
    targets = [RawScoresOutputTarget()] * len(batch)
    with GradCAM(model, [layer]) as grad_cam:
        scaled = grad_cam(batch, targets)
        taken = grad_cam.activations_and_grads
        raw = grad_cam.get_cam_image(batch, layer, targets, taken.activations[0].numpy(), taken.gradients[0].numpy())
    return np.maximum(raw, 0), scaled


def assert_same_maps(explain: Explainer, model: nn.Module, layer: nn.Module, batch: torch.Tensor) -> None:
    raw, scaled = reference_maps(model, layer, batch)
    logits, maps = explain(batch)
    assert raw.max() > 0, "a map without evidence proves nothing"
    assert np.abs(maps.numpy() - raw).max() <= GRAD_CAM_TOLERANCE
    # It scales twice, the second time over what its epsilon took from weak maps.
    ours = scale_cam_image(scale_cam_image(maps.numpy(), (batch.shape[3], batch.shape[2])))
    assert np.abs(ours - scaled).max() <= GRAD_CAM_TOLERANCE
    with torch.no_grad():
        assert torch.allclose(logits, model(batch)[:, 0], atol=1e-5)


def test_the_closed_form_is_grad_cam_on_efficientnet_b4(b4_bundle: Bundle) -> None:
    model = load_network(b4_bundle)
    explain = choose_explainer(model, input_channels=3, size_px=380)
    assert isinstance(explain, ClosedFormExplainer)
    batch = torch.from_numpy(np.stack(images(b4_bundle, 2))).float() / 127.5 - 1
    assert_same_maps(explain, model, model.get_submodule("bn2"), batch)


@pytest.mark.parametrize(
    ("timm_name", "layer", "expected"),
    [
        ("test_efficientnet", "bn2", ClosedFormExplainer),
        ("test_resnet", "layer4", ClosedFormExplainer),
        ("test_byobnet", "final_conv", ClosedFormExplainer),
        ("test_nfnet", "final_act", ClosedFormExplainer),
        ("regnetx_002", "s4", ClosedFormExplainer),
        ("densenet121", "features", ClosedFormExplainer),
        ("test_convnext", "stages", GradCamExplainer),
        ("mobilenetv3_small_050", "blocks", GradCamExplainer),
    ],
)
def test_families_of_networks_are_told_apart_by_trial(timm_name: str, layer: str, expected: type[Explainer]) -> None:
    torch.manual_seed(1)
    model = create_network(timm_name, input_channels=3)
    explain = choose_explainer(model, input_channels=3, size_px=96)
    assert type(explain) is expected
    assert_same_maps(explain, model, model.get_submodule(layer), torch.randn(3, 3, 96, 96))


def test_a_head_with_anything_more_is_no_linear_head() -> None:
    model = create_network("test_resnet", input_channels=3)
    with torch.no_grad():
        features = as_timm(model).forward_features(torch.zeros(1, 3, 64, 64))
        assert linear_head(model, features) is not None
        model.global_pool = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())
        assert linear_head(model, features) is None


def test_a_channels_last_network_gives_a_map_of_its_cells() -> None:
    torch.manual_seed(0)
    model = create_network("test_mambaout", input_channels=3)
    explain = choose_explainer(model, input_channels=3, size_px=96)
    assert isinstance(explain, GradCamExplainer)
    assert explain(torch.randn(2, 3, 96, 96))[1].shape == (2, 3, 3)


def test_the_temperature_softens_before_the_isotonic_map() -> None:
    logits = np.array([-4.0, 0.0, 4.0], np.float32)
    assert np.allclose(calibrate(logits, CalibrationSpec(temperature=2.0)), 1 / (1 + np.exp([2.0, 0.0, -2.0])))
    knots = IsotonicKnots(x=(0.2, 0.5, 0.8), y=(0.1, 0.4, 0.9))
    calibrated = calibrate(logits, CalibrationSpec(temperature=2.0, isotonic=knots))
    assert np.allclose(calibrated, [0.1, 0.4, 0.9])


def test_the_isotonic_map_agrees_with_scikit_learn() -> None:
    random = np.random.default_rng(0)
    scores = random.random(400)
    fitted = IsotonicRegression(out_of_bounds="clip").fit(scores, random.random(400) < scores**2)
    knots = IsotonicKnots(x=tuple(fitted.X_thresholds_), y=tuple(fitted.y_thresholds_))
    logits = np.linspace(-6, 6, 101)
    expected = fitted.predict(sigmoid(logits))
    assert np.abs(calibrate(logits, CalibrationSpec(isotonic=knots)) - expected).max() < 1e-9


@pytest.mark.filterwarnings("error")
def test_the_sigmoid_does_not_overflow() -> None:
    assert sigmoid(np.array([-1e6, 0.0, 1e6])).tolist() == [0.0, 0.5, 1.0]


def test_a_score_is_the_networks_own(small_bundle: Bundle) -> None:
    engine = ScreeningEngine.from_bundle(small_bundle, device="cpu")
    batch = images(small_bundle, 5)
    scores = engine.screen(batch)
    with torch.no_grad():
        pixels = torch.from_numpy(np.stack(batch)).float() / 255
        logits = load_network(small_bundle)((pixels - 0.5) / 0.25)[:, 0].numpy()
    for score, logit in zip(scores, logits, strict=True):
        assert isinstance(score, ImageScore)
        assert score.logit == pytest.approx(float(logit), abs=1e-5)
        assert score.probability_raw == pytest.approx(1 / (1 + np.exp(-score.logit)))
        assert score.cam_yx.shape == (3, 3)
        assert score.cam_yx.dtype == np.float32


def test_a_bad_image_does_not_touch_its_neighbours(small_bundle: Bundle) -> None:
    engine = ScreeningEngine.from_bundle(small_bundle, device="cpu")
    good = images(small_bundle, 2)
    alone = engine.screen(good)
    wrong = [np.zeros((3, 8, 8), np.uint8), good[0].astype(np.float32)]
    mixed = engine.screen([good[0], wrong[0], wrong[1], good[1]])  # type: ignore[list-item]  # the fault under test
    assert [type(outcome) for outcome in mixed] == [ImageScore, ImageFault, ImageFault, ImageScore]
    assert [mixed[0].logit, mixed[3].logit] == [score.logit for score in alone]  # type: ignore[union-attr]  # scores, as just asserted


class _NotFinite:
    name: RuntimeName = "torch-float32"
    description = "broken"

    def infer(self, batch_ncyx: npt.NDArray[np.uint8]) -> RuntimeOutput:
        logits = np.zeros(len(batch_ncyx), np.float32)
        logits[0] = np.nan
        return RuntimeOutput(logits, np.zeros((len(batch_ncyx), 3, 3), np.float32))


def test_a_number_that_is_not_finite_is_no_score(small_bundle: Bundle) -> None:
    engine = ScreeningEngine(small_bundle, _NotFinite())
    first, second = engine.screen(images(small_bundle, 2))
    assert first == ImageFault("not_finite", "the model gave no finite number")
    assert isinstance(second, ImageScore)
    with pytest.raises(BundleError, match="on an empty image: the model gave no finite number"):
        engine.warm_up(small_bundle, max_batch_size=1)


def test_one_channel_feeds_every_input_channel(small_bundle: Bundle) -> None:
    spec = small_bundle.manifest.image.model_copy(
        update={
            "channels": type(small_bundle.manifest.image.channels).model_validate(
                {"kind": "ct_windows", "windows": [{"name": "brain", "center_hu": 40, "width_hu": 80}]}
            )
        }
    )
    manifest = small_bundle.manifest.model_copy(update={"image": spec})
    runtime = TorchRuntime(load_network(small_bundle), manifest, device=torch.device("cpu"))
    image = images(small_bundle, 1)[0][:1]
    one, three = (runtime.infer(np.repeat(image, n, axis=0)[np.newaxis]) for n in (1, 3))
    assert np.array_equal(one.logits_n, three.logits_n)


@pytest.mark.parametrize("timm_name", ["test_efficientnet", "test_convnext"])
def test_a_network_in_bfloat16_gives_the_probabilities_and_maps_of_float32(tmp_path: Path, timm_name: str) -> None:
    bundle = write_untrained(tmp_path / "bundle", timm_name=timm_name, size_px=96)
    batch = np.stack(images(bundle, 3))
    half, full = (
        TorchRuntime(load_network(bundle), bundle.manifest, device=torch.device("cpu"), dtype=dtype).infer(batch)
        for dtype in (torch.bfloat16, torch.float32)
    )
    assert {str(numbers.dtype) for numbers in (half.logits_n, half.cams_nyx)} == {"float32"}
    assert not np.array_equal(half.logits_n, full.logits_n)
    assert probability_difference(half, full, bundle.manifest) <= PROBABILITY_TOLERANCE
    assert np.abs(half.cams_nyx - full.cams_nyx).max() <= 0.05 * full.cams_nyx.max()


def test_the_demonstration_bundle_loads_and_scores(b4_bundle: Bundle) -> None:
    engine = ScreeningEngine.from_bundle(load_bundle(b4_bundle.directory), device="cpu")
    (score,) = engine.screen(images(b4_bundle, 1))
    assert isinstance(score, ImageScore)
    assert score.cam_yx.shape == (12, 12)
    assert 0.0 < score.probability < 1.0
    assert "cpu float32" in engine.runtime_description


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, 10**6),
        ({"cpu.max": "max 100000"}, 10**6),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "20000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 10**6),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
    ],
)
def test_a_containers_quota_bounds_the_cores(tmp_path: Path, files: dict[str, str], limit: int) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert available_cores(tmp_path) == min(limit, available_cores(tmp_path / "nowhere"))


def test_another_seed_is_another_network(small_bundle: Bundle, tmp_path: Path) -> None:
    other = write_untrained(tmp_path / "other", timm_name="test_efficientnet", size_px=96, seed=7)
    image = images(small_bundle, 1)
    first, second = (ScreeningEngine.from_bundle(each, device="cpu").screen(image)[0] for each in (small_bundle, other))
    assert isinstance(first, ImageScore)
    assert isinstance(second, ImageScore)
    assert first.logit != second.logit
