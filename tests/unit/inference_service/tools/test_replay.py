"""A report computed again, on a real network."""

import io
from dataclasses import replace
from uuid import uuid4

import pytest

from inference_service.bundles import Bundle
from inference_service.engine.screening import ImageScore, ScreeningEngine
from inference_service.imaging import cut_to_image, prepare_frames
from inference_service.tools.errors import ToolError
from inference_service.tools.replay import Reported, describe_replay, fetch_report, replay_report
from radrelay_imaging import encode_npy
from radrelay_phantoms import sample
from radrelay_phantoms.dicom import write_dicom
from support.inference import free_port


@pytest.fixture(scope="module")
def reported(small_bundle: Bundle) -> Reported:
    """What a worker would have announced."""
    stream = io.BytesIO()
    write_dicom(sample(5, size=128), stream)
    engine = ScreeningEngine.from_bundle(small_bundle, device="cpu", runtime="torch")
    (frame,) = prepare_frames(stream.getvalue(), small_bundle.manifest.image)
    (score,) = engine.screen([frame.image_cyx])
    assert isinstance(score, ImageScore)
    return Reported(
        model_digest=small_bundle.digest,
        runtime=engine.runtime_name,
        frame_number=1,
        probability_raw=score.probability_raw,
        probability=score.probability,
        source=stream.getvalue(),
        heatmap_npy=encode_npy(cut_to_image(score.cam_yx, frame.placement)),
    )


def test_the_same_image_and_bundle_give_the_same_report(reported: Reported, small_bundle: Bundle) -> None:
    again = replay_report(reported, small_bundle)
    assert again.identical
    assert describe_replay(again).endswith("identical, bit for bit")


@pytest.mark.parametrize(
    "change",
    [{"probability": 0.123}, {"probability_raw": 0.123}, {"heatmap_npy": b"another"}, {"frame_number": 2}],
    ids=lambda change: next(iter(change)),
)
def test_whatever_differs_is_noticed(reported: Reported, small_bundle: Bundle, change: dict[str, object]) -> None:
    again = replay_report(replace(reported, **change), small_bundle)  # type: ignore[arg-type]  # one field each
    assert not again.identical
    assert describe_replay(again).endswith("NOT the same")


def test_another_bundle_is_refused(reported: Reported, small_bundle: Bundle) -> None:
    other = replace(reported, model_digest="sha256:" + "0" * 64)
    with pytest.raises(ToolError, match=f"the report is of the bundle sha256:0+; .* is {small_bundle.digest}"):
        replay_report(other, small_bundle)


def test_a_runtime_that_is_not_here_is_named(reported: Reported, small_bundle: Bundle) -> None:
    with pytest.raises(ToolError, match="computed on tensorrt-float16, which cannot be had here"):
        replay_report(replace(reported, runtime="tensorrt-float16"), small_bundle)


def test_an_image_that_is_refused_now_says_why(reported: Reported, small_bundle: Bundle) -> None:
    with pytest.raises(ToolError, match="the image is refused: not_dicom"):
        replay_report(replace(reported, source=b"text"), small_bundle)


def test_a_service_that_is_away_is_named() -> None:
    port = free_port()
    with pytest.raises(ToolError, match=f"127.0.0.1:{port}/?: does not answer: ConnectError"):
        fetch_report(uuid4(), reports_url=f"http://127.0.0.1:{port}", token="t")
