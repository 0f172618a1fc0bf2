"""The naive design, as a reference: how a worker for this job is usually written first.

One image at a time in a thread: fetch, decode, float32 PyTorch, pytorch-grad-cam with its backward pass, write the map,
publish, acknowledge. It runs in a process of its own (`apart`).
"""

import asyncio
import io
import json
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import Any, cast

import nats
import numpy as np
import numpy.typing as npt
import torch
from minio import Minio
from PIL import Image
from pydicom import dcmread
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import RawScoresOutputTarget
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.inference.bare import Subject
from inference_service.bundles import Bundle, load_bundle
from inference_service.bundles.image_spec import CtWindows
from inference_service.engine.network import load_network
from radrelay_shared.objects import ObjectStoreSettings, bucket_of


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where broker and object store are."""

    nats_url: str
    objects: ObjectStoreSettings


def load_model(subject: Subject) -> None:
    """Load the model, so that the first image does not pay for it."""
    _load(subject)


def images_per_s(subject: Subject, addresses: Addresses, *, tenant: str, count: int) -> float:
    """Images in a second over the first `count` stored images of a tenant, from the first fetch to the last ack."""
    return asyncio.run(_consume(subject, addresses, tenant, count))


async def _consume(subject: Subject, addresses: Addresses, tenant: str, count: int) -> float:
    client = await nats.connect(addresses.nats_url)
    stream = client.jetstream()
    subscription = await stream.pull_subscribe(f"radrelay.v1.{tenant}.instance.stored.*", durable=f"naive-{tenant}")
    started = perf_counter()
    for _ in range(count):
        (message,) = await subscription.fetch(1, timeout=30)
        event = json.loads(message.data)
        result = await asyncio.to_thread(_screen, subject, addresses.objects, tenant, event["data"])
        await stream.publish(f"radrelay.v1.{tenant}.inference.naive", json.dumps(result).encode())
        await message.ack()
    elapsed_s = perf_counter() - started
    await client.drain()
    return count / elapsed_s


def _screen(subject: Subject, settings: ObjectStoreSettings, tenant: str, stored: dict[str, Any]) -> dict[str, Any]:
    store = _store(settings)
    bucket = bucket_of(settings.bucket_prefix, tenant)
    response = store.get_object(bucket_name=bucket, object_name=stored["object_key"].removeprefix(f"{tenant}/"))
    content = response.read()
    response.close()
    response.release_conn()
    _, probability, heat_yx = explain(subject, content)
    key, data = f"naive/{stored['instance_id']}/cam.npy", _npy(heat_yx)
    store.put_object(bucket_name=bucket, object_name=key, data=io.BytesIO(data), length=len(data))
    return {"instance_id": stored["instance_id"], "probability": probability, "heatmap": key}


def explain(subject: Subject, content: bytes) -> tuple[npt.NDArray[np.uint8], float, npt.NDArray[np.float32]]:
    """First channel of the input, raw probability and Grad-CAM (0 to 1, the size of the input) of one DICOM file."""
    bundle, model = _load(subject)
    levels_cyx = _decode(content, bundle)
    norm = bundle.manifest.normalization
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (norm.mean, norm.std))
    batch_nchw = torch.from_numpy((levels_cyx / np.float32(255.0) - mean) / std)[None].to(subject.device)
    with GradCAM(model=model, target_layers=[cast("Any", model).bn2]) as grad_cam:
        heat_yx = grad_cam(input_tensor=batch_nchw, targets=[RawScoresOutputTarget()])[0]
        probability = float(torch.sigmoid(grad_cam.outputs.detach())[0, 0])
    return levels_cyx[0], probability, heat_yx


def _decode(content: bytes, bundle: Bundle) -> npt.NDArray[np.uint8]:
    spec = bundle.manifest.image
    if not isinstance(spec.channels, CtWindows):
        raise BenchmarkError("the naive design is written for CT windows")
    dataset = dcmread(io.BytesIO(content))
    hu_yx = dataset.pixel_array.astype(np.float32) * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    hu_yx = np.asarray(Image.fromarray(hu_yx).resize((spec.size_px, spec.size_px), Image.Resampling.BILINEAR))
    lows = [(window.center_hu - window.width_hu / 2, window.width_hu) for window in spec.channels.windows]
    levels = [np.clip((hu_yx - low) / width, 0.0, 1.0) * 255.0 for low, width in lows]
    return np.stack(levels).astype(np.uint8)


def _npy(array: npt.NDArray[np.float32]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@cache
def _load(subject: Subject) -> tuple[Bundle, nn.Module]:
    bundle = load_bundle(subject.bundle_dir)
    model = load_network(bundle).to(subject.device)
    if not hasattr(model, "bn2"):
        raise BenchmarkError(
            f"the naive design is written for EfficientNets, not {bundle.manifest.architecture.timm_name}"
        )
    return bundle, model


@cache
def _store_at(endpoint: str, access_key: str, secret_key: str, *, secure: bool) -> Minio:
    return Minio(endpoint=endpoint, access_key=access_key, secret_key=secret_key, secure=secure, region="us-east-1")


def _store(settings: ObjectStoreSettings) -> Minio:
    secret = settings.secret_key.get_secret_value()
    return _store_at(settings.endpoint, settings.access_key, secret, secure=settings.secure)
