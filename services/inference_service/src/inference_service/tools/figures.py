"""The figures of a model card, as SVG: the same input gives the same bytes."""

import io
import re
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inference_service.bundles.manifest import BundleManifest
from inference_service.tools.curves import Curves, ReliabilityBin
from inference_service.tools.describing import interval
from inference_service.tools.evaluation import Evaluation

_INK, _PAPER = "#1b1f24", "#fefefe"
"""Stand for the colour of text and of the page: an inlined figure takes those of its page, dark or light."""
_BLUE, _ORANGE = "#2f7fd1", "#d1631f"
"""Both have a contrast of 3 and more with white and with near-black, as WCAG 2.2 (1.4.11) asks of graphics."""
_LINES = ("--", ":", "-.")
_NOTE_CHARACTERS = 110
_NOTE_LINE_INCHES = 0.14


@dataclass(frozen=True, slots=True)
class Drawing:
    """One figure."""

    name: str
    """Of the file, without its suffix."""
    alt: str
    """What it shows, for whoever does not see it."""
    svg: str
    """A whole SVG file, on white."""

    @property
    def inline(self) -> str:
        """The `<svg>` element alone, in the colours of the page around it, its ids apart from those of others."""
        element = self.svg[self.svg.index("<svg") :].replace(_INK, "currentColor").replace(_PAPER, "none")
        return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{self.name}-", element)


def draw_figures(manifest: BundleManifest, evaluation: Evaluation, curves: Curves) -> dict[str, Drawing]:
    """Reliability diagram, ROC curve and histograms, by name; each repeats what the bundle is and is for."""
    with _style():
        return {
            drawing.name: drawing
            for drawing in (
                _draw_reliability(manifest, evaluation, curves),
                _draw_roc(manifest, evaluation, curves),
                _draw_histograms(manifest, evaluation, curves),
            )
        }


@contextmanager
def _style() -> Iterator[None]:
    """The same settings on every machine, and afterwards those that were."""
    with mpl.rc_context(), warnings.catch_warnings():
        # Matplotlib measures text with its own font; the reader's fonts draw it.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        mpl.rcdefaults()
        mpl.rcParams.update(
            {
                "axes.edgecolor": _INK,
                "axes.facecolor": "none",
                "axes.labelcolor": _INK,
                "axes.spines.right": False,
                "axes.spines.top": False,
                "axes.titlesize": 10,
                "figure.facecolor": _PAPER,
                "font.family": "sans-serif",
                "font.size": 9,
                "legend.frameon": False,
                "svg.fonttype": "none",  # text stays text, which can be searched and which the reader's fonts draw
                "svg.hashsalt": "radrelay",
                "text.color": _INK,
                "xtick.color": _INK,
                "ytick.color": _INK,
            }
        )
        yield


def _draw_reliability(manifest: BundleManifest, evaluation: Evaluation, curves: Curves) -> Drawing:
    figure = _new_figure(manifest, height_inches=4.2)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    before, after = evaluation.before_calibration, evaluation.after_calibration
    for axes, title, bins, colour in (
        (panels[0], f"before calibration: ECE {before.ece:.3f}", curves.before_calibration, _ORANGE),
        (panels[1], f"after calibration: ECE {after.ece:.3f}", curves.after_calibration, _BLUE),
    ):
        _draw_bins(axes, bins, colour)
        axes.set_title(f"{title}\n{len(bins)} bins of {_sizes(bins)}")
        axes.set_xlabel("mean probability of the bin")
    panels[0].set_ylabel("share of positive cases, 95% interval")
    return Drawing(
        "reliability",
        f"Reliability diagram: the share of positive cases against the mean probability in "
        f"{len(curves.after_calibration)} bins of equal mass. The expected calibration error is {before.ece:.3f} "
        f"before calibration and {after.ece:.3f} after.",
        _render(figure),
    )


def _draw_bins(axes: Axes, bins: tuple[ReliabilityBin, ...], colour: str) -> None:
    axes.plot((0, 1), (0, 1), color=_INK, linewidth=0.8, linestyle="--")
    frequencies = [each.frequency for each in bins]
    axes.errorbar(
        [each.probability for each in bins],
        [each.value for each in frequencies],
        yerr=(
            [max(0.0, each.value - each.low) for each in frequencies],
            [max(0.0, each.high - each.value) for each in frequencies],
        ),
        fmt="o",
        markersize=4,
        linewidth=1.2,
        capsize=2,
        color=colour,
    )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")


def _sizes(bins: tuple[ReliabilityBin, ...]) -> str:
    low, high = min(each.cases for each in bins), max(each.cases for each in bins)
    return f"{low} cases" if low == high else f"{low} or {high} cases"


def _draw_roc(manifest: BundleManifest, evaluation: Evaluation, curves: Curves) -> Drawing:
    figure = _new_figure(manifest, height_inches=4.4)
    axes = figure.subplots()
    axes.plot((0, 1), (0, 1), color=_INK, linewidth=0.8, linestyle="--")
    axes.plot(curves.false_positive_rates_t, curves.true_positive_rates_t, color=_BLUE, linewidth=1.6)
    for at, marker in zip(evaluation.at_thresholds, ("o", "s", "^"), strict=True):
        axes.plot(
            1.0 - at.specificity.value,
            at.sensitivity.value,
            marker,
            markersize=9 if marker == "s" else 6,
            markerfacecolor="none" if marker == "s" else _ORANGE,
            markeredgecolor=_ORANGE,
            markeredgewidth=1.4,
            label=f"{at.name} {at.threshold:.3g}",
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", title=f"AUROC {interval(evaluation.auroc)}")
    axes.legend(loc="lower right", title="thresholds")
    return Drawing(
        "roc",
        f"ROC curve: sensitivity against 1 - specificity, with the thresholds marked. The area under it is "
        f"{interval(evaluation.auroc)}.",
        _render(figure),
    )


def _draw_histograms(manifest: BundleManifest, evaluation: Evaluation, curves: Curves) -> Drawing:
    figure = _new_figure(manifest, height_inches=4.2)
    panels = figure.subplots(2, 1, sharex=True)
    negatives = evaluation.cases - evaluation.positives
    for axes, title, counts, colour in (
        (panels[0], f"{evaluation.positives} cases with the finding", curves.positive_counts, _ORANGE),
        (panels[1], f"{negatives} cases without it", curves.negative_counts, _BLUE),
    ):
        axes.stairs(counts, curves.edges, fill=True, color=colour)
        for (threshold, names), line in zip(_thresholds(evaluation).items(), _LINES, strict=False):
            axes.axvline(threshold, color=_INK, linewidth=1.2, linestyle=line, label=f"{names} {threshold:.3g}")
        axes.set(xlim=(0, 1), ylabel="cases", title=title)
    panels[1].set_xlabel("calibrated probability")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return Drawing(
        "histograms",
        f"Histograms of the calibrated probability of {evaluation.positives} cases with the finding and of "
        f"{negatives} cases without it, with the thresholds as lines.",
        _render(figure),
    )


def _thresholds(evaluation: Evaluation) -> dict[float, str]:
    """What is called so from each threshold; those that coincide share a line."""
    names: dict[float, list[str]] = {}
    for at in evaluation.at_thresholds:
        names.setdefault(at.threshold, []).append(at.name)
    return {threshold: ", ".join(each) for threshold, each in names.items()}


def _new_figure(manifest: BundleManifest, *, height_inches: float) -> Figure:
    """An empty figure with a note under it, outside pyplot and so outside any global state."""
    said = f"{manifest.name} {manifest.version}: {manifest.label}. {manifest.intended_use}"
    lines = textwrap.wrap(said, _NOTE_CHARACTERS)
    figure = Figure(figsize=(7.0, height_inches + _NOTE_LINE_INCHES * len(lines)), layout="constrained")
    figure.supxlabel("\n".join(lines), fontsize=7, parse_math=False)
    return figure


def _render(figure: Figure) -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return file.getvalue()
