"""The model server as a process, over HTTP."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from inference_service import wire
from inference_service.bundles import Bundle
from inference_service.engine.screening import ImageScore, ScreeningEngine
from support.inference import free_port, serving
from support.untrained import write_untrained


def images(count: int) -> list[npt.NDArray[np.uint8]]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 3, 96, 96), dtype=np.uint8))


async def send(client: httpx.AsyncClient, body: bytes, digest: str) -> httpx.Response:
    headers = {"Content-Type": wire.IMAGE_MEDIA_TYPE, wire.MODEL_DIGEST_HEADER: digest}
    return await client.post(wire.SCREEN_PATH, content=body, headers=headers)


async def screen(client: httpx.AsyncClient, image: npt.NDArray[np.uint8], digest: str) -> wire.ImageResult:
    answer = wire.IMAGE_ANSWER.validate_json((await send(client, wire.encode_image(image), digest)).content)
    assert isinstance(answer, wire.ImageResult)
    return answer


def client_for(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=30, limits=httpx.Limits(max_connections=64))


async def test_the_model_says_what_it_is(model_url: str, bundle: Bundle) -> None:
    async with client_for(model_url) as client:
        catalogue = wire.Catalogue.model_validate_json((await client.post(wire.MODELS_PATH, json={})).content)
    (info,) = catalogue.models
    assert info.role is wire.ModelRole.ACTIVE
    assert (info.digest, info.label, info.image) == (bundle.digest, "untrained", bundle.manifest.image)
    assert info.thresholds == bundle.manifest.thresholds


async def test_a_burst_is_answered_in_batches_and_each_answer_is_its_images_own(model_url: str, bundle: Bundle) -> None:
    sent = images(48)
    expected = ScreeningEngine.from_bundle(bundle, device="cpu", runtime="openvino-float32").screen(sent)
    async with client_for(model_url) as client:
        answers = await asyncio.gather(*(screen(client, image, bundle.digest) for image in sent))
        metrics = (await client.get("/metrics")).text
    assert max(answer.batch_size for answer in answers) > 1
    for answer, score in zip(answers, expected, strict=True):
        assert isinstance(score, ImageScore)
        assert answer.logit == pytest.approx(score.logit, abs=1e-4)
        assert np.allclose(answer.cam_yx(), score.cam_yx, atol=1e-4)
    batches, batched = (_metric(metrics, f"bentoml_service_adaptive_batch_size_{kind}") for kind in ("count", "sum"))
    assert batched / batches > 1
    assert _metric(metrics, "radrelay_model_batch_images_sum") >= len(sent)


async def test_a_bad_image_does_not_fail_its_neighbours(model_url: str, bundle: Bundle) -> None:
    small = np.zeros((3, 8, 8), np.uint8)
    async with client_for(model_url) as client:
        good = [send(client, wire.encode_image(image), bundle.digest) for image in images(12)]
        bad = [
            send(client, wire.encode_image(small), bundle.digest),
            send(client, wire.encode_image(images(1)[0]), "sha256:another"),
            send(client, b"no image at all", bundle.digest),
        ]
        responses = await asyncio.gather(*good[:6], *bad, *good[6:])
    answers = [
        wire.IMAGE_ANSWER.validate_json(response.content) for response in responses if response.status_code == 200
    ]
    assert [response.status_code for response in responses] == [200] * 8 + [400] + [200] * 6
    assert sum(isinstance(answer, wire.ImageResult) for answer in answers) == 12
    reasons = [answer.reason for answer in answers if isinstance(answer, wire.ImageError)]
    assert reasons == ["wrong_shape", wire.MODEL_CHANGED]


async def test_nothing_is_unpickled(model_url: str) -> None:
    async with client_for(model_url) as client:
        response = await client.post(
            wire.SCREEN_PATH,
            content=b"cos\nsystem\n(S'id'\ntR.",
            headers={"Content-Type": "application/vnd.bentoml+pickle"},
        )
    assert response.status_code == 415


def test_a_broken_bundle_ends_the_command_with_what_is_wrong_and_where(bundle: Bundle, tmp_path: Path) -> None:
    for file in bundle.directory.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "weights.safetensors").write_bytes(b"cut")
    assert f"cannot be served. {tmp_path / 'weights.safetensors'}: sha256 is" in _refusal(
        tmp_path, BUNDLE_DIRS=str(tmp_path)
    )


@pytest.mark.parametrize(
    ("timm_name", "runtime", "reason"),
    [
        ("test_convnext", "openvino-float32", "the head of the network is not pooling and one linear layer"),
        ("test_vit", "auto", "the last features have 3 dimensions, not 4"),
    ],
)
def test_what_cannot_be_served_ends_the_command_with_one_line(
    tmp_path: Path, timm_name: str, runtime: str, reason: str
) -> None:
    bundle = write_untrained(tmp_path / "bundle", timm_name=timm_name, size_px=160)
    said = _refusal(tmp_path, BUNDLE_DIRS=str(bundle.directory), RUNTIME=runtime)
    (line,) = [line for line in said.splitlines() if "cannot be served" in line]
    assert str(bundle.directory) in line
    assert line.endswith(reason)
    assert runtime == "auto" or f"runtime {runtime}" in line


def test_the_same_bundle_twice_ends_the_command(bundle: Bundle, tmp_path: Path) -> None:
    said = _refusal(tmp_path, BUNDLE_DIRS=str(bundle.directory), SHADOW_BUNDLE_DIRS=str(bundle.directory))
    assert f"{bundle.directory}: is the bundle in {bundle.directory}, which is served as active already" in said


async def test_bundles_side_by_side_answer_by_digest(bundle: Bundle, second_bundle: Bundle, tmp_path: Path) -> None:
    port = free_port()
    shadow = {"RADRELAY_INFERENCE_SHADOW_BUNDLE_DIRS": str(second_bundle.directory)}
    starting = serving(bundle.directory, tmp_path, port=port, **shadow)
    await asyncio.to_thread(starting.__enter__)
    try:
        async with client_for(f"http://127.0.0.1:{port}") as client:
            catalogue = wire.Catalogue.model_validate_json((await client.post(wire.MODELS_PATH, json={})).content)
            sent = images(12)
            digests = [bundle.digest, second_bundle.digest] * 6
            answers = await asyncio.gather(
                *(screen(client, image, digest) for image, digest in zip(sent, digests, strict=True))
            )
    finally:
        await asyncio.to_thread(starting.__exit__, None, None, None)
    assert [(model.role, model.digest) for model in catalogue.models] == [
        (wire.ModelRole.ACTIVE, bundle.digest),
        (wire.ModelRole.SHADOW, second_bundle.digest),
    ]
    engines = {each.digest: ScreeningEngine.from_bundle(each, device="cpu") for each in (bundle, second_bundle)}
    for image, digest, answer in zip(sent, digests, answers, strict=True):
        (expected,) = engines[digest].screen([image])
        assert isinstance(expected, ImageScore)
        assert answer.digest == digest
        assert answer.logit == pytest.approx(expected.logit, abs=0.05)


def _refusal(folder: Path, **settings: str) -> str:
    """What the command says on standard error when it ends by itself."""
    command = [sys.executable, "-m", "bentoml", "serve", "inference_service.server:Screening", "--port", "0"]
    env = {
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(folder / "bentoml"),
        **{f"RADRELAY_INFERENCE_{name}": value for name, value in settings.items()},
    }
    ended = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, timeout=150, check=False)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    return ended.stderr


def _metric(exposition: str, name: str) -> float:
    return sum(
        float(line.rsplit(" ", 1)[1]) for line in exposition.splitlines() if line.startswith((f"{name} ", f"{name}{{"))
    )
