"""Pictures of reports: the image as the model saw it, beside it with its heatmap, and what the report says."""

import textwrap
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from radrelay_local.client.answers import Report

PANEL = 420
STRIP = 94
LINE = 20
LETTERS_A_LINE = 120
GAP = 4
INK, DIM, GROUND = (235, 238, 242), (165, 172, 182), (16, 18, 22)


def overlay_picture(report: Report, image_png: bytes, overlay_png: bytes) -> Image.Image:
    """Return the picture of one report: RGB, two panels over the result and up to three lines on the model."""
    panels = [_fit(Image.open(BytesIO(png)).convert("RGB")) for png in (image_png, overlay_png)]
    picture = Image.new("RGB", (2 * PANEL + GAP, PANEL + STRIP), GROUND)
    for index, panel in enumerate(panels):
        corner = (index * (PANEL + GAP) + (PANEL - panel.width) // 2, (PANEL - panel.height) // 2)
        picture.paste(panel, corner)
    write = ImageDraw.Draw(picture)
    result = f"{report.finding}: {'positive' if report.positive else 'negative'}, probability {report.probability:.2f}"
    first = f"{result}, confidence {report.confidence:.2f}, urgency {report.urgency.value}"
    second = f"{report.model.name} {report.model.version} ({report.model.label}). {report.notice}"
    write.text((10, PANEL + 8), first, fill=INK, font=ImageFont.load_default(15))
    for line, text in enumerate(textwrap.wrap(second, LETTERS_A_LINE, max_lines=3, placeholder=" ...")):
        write.text((10, PANEL + 32 + line * LINE), text, fill=DIM, font=ImageFont.load_default(13))
    return picture


def save_overlay(folder: Path, rank: int, report: Report, image_png: bytes, overlay_png: bytes) -> Path:
    """Save the picture of one report and return its path."""
    path = folder / f"{rank:02d}-{report.urgency.value}-{report.report_id}.png"
    overlay_picture(report, image_png, overlay_png).save(path)
    return path


def _fit(image: Image.Image) -> Image.Image:
    scale = PANEL / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BICUBIC)
