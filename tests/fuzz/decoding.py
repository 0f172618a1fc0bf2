"""Hostile pixel data given to the decoders of the inference worker, and what became of each."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from inference_service.adapters.image_pool import ImagePool
from inference_service.bundles.image_spec import ImageSpec
from radrelay_imaging import Refusal, RefusalReason
from support.dicom_tokens import PIXEL_DATA, Sample
from support.mutations import mutate, mutate_pixels

PROCESSES: Final = 2
_OUR_FAULTS: Final = frozenset({RefusalReason.DECODER_CRASHED, RefusalReason.DECODER_TIMEOUT})
_MODALITIES: Final = ("CT", "MR", "CR", "DX", "US", "OT", "NM", "SEG", "SC", "RTDOSE", "SM", "XC", "MG", "PT", "XA")
SPEC: Final = ImageSpec.model_validate(
    {"size_px": 64, "accepts": {"modalities": list(_MODALITIES)}, "channels": {"kind": "voi"}}
)
"""Takes whatever can be decoded."""


@dataclass(slots=True)
class DecoderFindings:
    """What the decoders did."""

    outcomes: Counter[str] = field(default_factory=Counter)
    """Files by reason code, and `array`."""
    deadly: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Reason, file name and content of what ended or held up a decoder: named refusals, but to be known of."""
    faults: list[tuple[str, str, bytes]] = field(default_factory=list)
    """The same of what must not be: anything else than an array or a named refusal."""


async def fuzz_decoders(pool: ImagePool, samples: Sequence[Sample], *, files: int, seed: int) -> DecoderFindings:
    """Have `files` mutated files decoded: of half of them nothing but the pixel data is changed."""
    findings = DecoderFindings()
    contents = iter(hostile_images(samples, files=files, seed=seed))

    async def decode() -> None:
        for name, content in contents:
            await _decode(pool, name, content, findings)

    async with asyncio.TaskGroup() as group:
        for _ in range(PROCESSES + 1):
            group.create_task(decode())
    return findings


def hostile_images(samples: Sequence[Sample], *, files: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents; the same seed and number make the same file."""
    images = [sample for sample in samples if any(token.tag == PIXEL_DATA for token in sample.tokens)]
    for number in range(files):
        random = Random(f"{seed}-image-{number}")
        sample = images[number // 2 % len(images)]
        content = mutate_pixels(sample, random) if number % 2 else mutate(sample, random.choice(samples), random)
        yield f"image-{number}.dcm", content


async def _decode(pool: ImagePool, name: str, content: bytes, findings: DecoderFindings) -> None:
    try:
        (frame,) = await pool.prepare(content, SPEC)
    except Refusal as refusal:
        findings.outcomes[refusal.reason] += 1
        if refusal.reason in _OUR_FAULTS:
            findings.deadly.append((refusal.reason, name, content))
    except Exception as error:  # noqa: BLE001  # whatever else comes out is what is looked for
        findings.faults.append((type(error).__name__, name, content))
    else:
        findings.outcomes["array"] += 1
        if frame.image_cyx.shape != SPEC.shape_cyx:
            findings.faults.append(("an array of another shape", name, content))
