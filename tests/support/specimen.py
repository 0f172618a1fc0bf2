"""A visual report of a synthetic head, as the demonstration bundle screens it: `python -m support.specimen FOLDER`.

It writes the page, the PDF, and the PDF's pages as pictures; the first is the one in docs/images.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from inference_service.bundles import Bundle, load_bundle
from inference_service.domain.triage import triage
from inference_service.engine.screening import ImageFault, ScreeningEngine
from inference_service.imaging import cut_to_image, prepare_frames
from radrelay_phantoms.dicom import phantom_uid
from radrelay_shared.events import Heatmap, ModelRef, Provenance, Verdict
from report_service.adapters.pdf import typeset_pdf
from report_service.adapters.typesetting import typeset_page
from report_service.domain.report import Report
from report_service.domain.review import Label
from report_service.domain.visual import ShownReview
from support.visual import SEED, a_report, head_dicom, heat_of, pages_of, visual

_BUNDLE: Final = Path("bundles/head-ct-haemorrhage")


def _screened(bundle: Bundle, content: bytes) -> Report:
    manifest = bundle.manifest
    engine = ScreeningEngine.from_bundle(bundle, device="cpu")
    (frame,) = prepare_frames(content, manifest.image)
    (score,) = engine.screen([frame.image_cyx])
    assert not isinstance(score, ImageFault), score
    verdict = triage(score.probability, manifest.thresholds)
    heat_yx = cut_to_image(score.cam_yx, frame.placement)
    rows, columns = heat_yx.shape
    instance_id = UUID(int=SEED)
    return a_report(
        instance_id=instance_id,
        batch_id=instance_id,
        study_instance_uid=phantom_uid("study", SEED),
        series_instance_uid=phantom_uid("series", SEED),
        model=ModelRef(
            name=manifest.name,
            version=manifest.version,
            digest=bundle.digest,
            label=manifest.label,
            intended_use=manifest.intended_use,
        ),
        provenance=Provenance(
            runtime=engine.runtime_name,
            runtime_detail=engine.runtime_description,
            code_version="0.1.0",
            frame_number=frame.frame_number,
        ),
        finding=manifest.finding,
        positive=verdict.positive,
        probability_raw=score.probability_raw,
        probability=score.probability,
        urgency=verdict.urgency,
        heatmap=Heatmap.of_bytes(heat_yx.astype("<f4").tobytes(), rows=rows, columns=columns),
    )


def main(folder: Path) -> None:
    """Write everything."""
    content = head_dicom()
    report = _screened(load_bundle(_BUNDLE), content)
    review = ShownReview(
        Verdict.AGREE, Label.FINDING_PRESENT, None, "dr-ada", datetime(2026, 3, 14, 9, 52, 11, tzinfo=UTC)
    )
    shown = visual(report, content, heat_of(report), review)
    pdf = typeset_pdf(shown.texts(), shown.pictures())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "visual-report.html").write_bytes(typeset_page(shown))
    (folder / "visual-report.pdf").write_bytes(pdf)
    for number, page in enumerate(pages_of(pdf), start=1):
        page.save(folder / f"visual-report-{number}.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
