"""Computing a report again, from the file that was screened and the bundle that it names."""

from dataclasses import dataclass
from typing import cast
from uuid import UUID

import httpx
import numpy as np
import numpy.typing as npt

from inference_service.bundles import Bundle
from inference_service.domain.triage import decisive_frame
from inference_service.engine.choice import RuntimeRefused
from inference_service.engine.runtime import RuntimeChoice
from inference_service.engine.screening import ImageFault, ImageScore, ScreeningEngine
from inference_service.imaging import cut_to_image, prepare_frames
from inference_service.tools.errors import ToolError
from radrelay_imaging import Refusal, encode_npy

_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Reported:
    """What the report service has of a report."""

    model_digest: str
    runtime: str | None
    """None where the report is older than its provenance."""
    frame_number: int | None
    probability_raw: float
    probability: float
    source: bytes
    """The DICOM file."""
    heatmap_npy: bytes


@dataclass(frozen=True, slots=True)
class Replay:
    """A report and the same image computed again."""

    reported: Reported
    runtime: str
    """What computed it now."""
    frame_number: int
    probability_raw: float
    probability: float
    same_heatmap: bool
    """To the last byte."""

    @property
    def identical(self) -> bool:
        """Whether all of it is the same, bit for bit."""
        then = self.reported
        same_numbers = (then.probability_raw, then.probability) == (self.probability_raw, self.probability)
        return same_numbers and self.same_heatmap and then.frame_number in {None, self.frame_number}


def fetch_report(report_id: UUID, *, reports_url: str, token: str) -> Reported:
    """Read a report, its image and its heatmap from the report service.

    Args:
        report_id: of a report that the token's owner may see.
        reports_url: of the service, such as `https://radrelay.example/api/reports`.
        token: bearer token.

    Raises:
        ToolError: the service does not answer, or has no such report for this token.
    """
    headers = {"Authorization": f"Bearer {token}"}
    address = f"/v1/reports/{report_id}"
    with httpx.Client(base_url=reports_url, headers=headers, timeout=_TIMEOUT_S) as client:
        report = _get(client, address).json()
        provenance = report["provenance"] or {}
        return Reported(
            model_digest=report["model"]["digest"],
            runtime=provenance.get("runtime"),
            frame_number=provenance.get("frame_number"),
            probability_raw=report["probability_raw"],
            probability=report["probability"],
            source=_get(client, f"{address}/source").content,
            heatmap_npy=_get(client, f"{address}/heatmap.npy").content,
        )


def replay_report(reported: Reported, bundle: Bundle) -> Replay:
    """Compute the report again, on the runtime that it names.

    Raises:
        ToolError: the bundle is another one, the runtime cannot be had here, or the image gets no score.
        BundleError: the bundle's network cannot be made.
    """
    if reported.model_digest != bundle.digest:
        raise ToolError(f"the report is of the bundle {reported.model_digest}; {bundle.directory} is {bundle.digest}")
    try:
        engine = ScreeningEngine.from_bundle(bundle, runtime=cast("RuntimeChoice", reported.runtime or "auto"))
    except RuntimeRefused as error:
        raise ToolError(f"the report was computed on {reported.runtime}, which cannot be had here: {error}") from error
    try:
        frames = prepare_frames(reported.source, bundle.manifest.image)
    except Refusal as refusal:
        raise ToolError(f"the image is refused: {refusal.reason}: {refusal.detail}") from refusal
    scores = [_score(engine, frame.image_cyx) for frame in frames]
    decisive = decisive_frame(scores)
    score, frame = scores[decisive], frames[decisive]
    return Replay(
        reported=reported,
        runtime=engine.runtime_name,
        frame_number=frame.frame_number,
        probability_raw=score.probability_raw,
        probability=score.probability,
        same_heatmap=encode_npy(cut_to_image(score.cam_yx, frame.placement)) == reported.heatmap_npy,
    )


def describe_replay(replay: Replay) -> str:
    """What was reported, what came out now, and whether it is the same."""
    then = replay.reported
    rows = [
        ("", "reported", "computed again"),
        ("runtime", then.runtime or "not known", replay.runtime),
        ("frame", str(then.frame_number or "not known"), str(replay.frame_number)),
        ("probability, raw", repr(then.probability_raw), repr(replay.probability_raw)),
        ("probability", repr(then.probability), repr(replay.probability)),
        ("heatmap", f"{len(then.heatmap_npy)} bytes", "the same" if replay.same_heatmap else "another"),
    ]
    lines = [f"{name:<16}  {before:<22}  {now}".rstrip() for name, before, now in rows]
    return "\n".join([*lines, "identical, bit for bit" if replay.identical else "NOT the same"])


def _get(client: httpx.Client, address: str) -> httpx.Response:
    try:
        response = client.get(address)
    except httpx.HTTPError as error:
        raise ToolError(f"{client.base_url}: does not answer: {type(error).__name__}") from error
    if not response.is_success:
        raise ToolError(f"{client.base_url}{address.lstrip('/')}: answers {response.status_code}: {_problem(response)}")
    return response


def _problem(response: httpx.Response) -> str:
    """The detail of problem+json (RFC 9457), else nothing that a stranger wrote."""
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        return str(response.json().get("detail", ""))
    return response.reason_phrase


def _score(engine: ScreeningEngine, image_cyx: npt.NDArray[np.uint8]) -> ImageScore:
    (outcome,) = engine.screen([image_cyx])
    if isinstance(outcome, ImageFault):
        raise ToolError(f"the image gets no score: {outcome.reason}: {outcome.detail}")
    return outcome
