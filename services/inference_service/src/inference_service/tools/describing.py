"""A bundle and its evaluation in words."""

from inference_service.bundles import Bundle
from inference_service.bundles.manifest import CalibrationSpec
from inference_service.tools.evaluation import Estimate, Evaluation


def describe(bundle: Bundle) -> str:
    """One line for each thing that a reader of the model's results should know."""
    manifest = bundle.manifest
    architecture, image = manifest.architecture, manifest.image
    thresholds, provenance = manifest.thresholds, manifest.provenance
    lines = {
        "name": manifest.name,
        "version": manifest.version,
        "digest": bundle.digest,
        "label": manifest.label,
        "finding": manifest.finding,
        "intended use": manifest.intended_use,
        "architecture": f"{architecture.timm_name}, {architecture.input_channels} channels, {image.size_px} px",
        "accepts": ", ".join(image.accepts.modalities),
        "calibration": _calibration(manifest.calibration),
        "thresholds": f"positive {thresholds.positive:g}, urgent {thresholds.urgent:g}, stat {thresholds.stat:g}",
        "data": provenance.data,
        "method": provenance.method,
        "code version": provenance.code_version,
        "seed": "not given" if provenance.seed is None else str(provenance.seed),
        "weights": f"{len(bundle.weights) / 1e6:.1f} MB",
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())


def _calibration(spec: CalibrationSpec) -> str:
    isotonic = "no isotonic map" if spec.isotonic is None else f"isotonic map of {len(spec.isotonic.x)} knots"
    return f"temperature {spec.temperature:.4g}, {isotonic}"


def describe_evaluation(evaluation: Evaluation) -> str:
    """The figures as text, with 95% confidence intervals in brackets."""
    before, after = evaluation.before_calibration, evaluation.after_calibration
    return "\n".join(
        [
            f"{evaluation.cases} cases, {evaluation.positives} positive; 95% confidence intervals in brackets",
            f"AUROC  {_interval(evaluation.auroc)}",
            f"AUPRC  {_interval(evaluation.auprc)}",
            "",
            f"{'threshold':<16}  {'sensitivity':<22}  specificity",
            *(
                f"{f'{each.name} {each.threshold:.3g}':<16}  {_interval(each.sensitivity):<22}  "
                f"{_interval(each.specificity)}"
                for each in evaluation.at_thresholds
            ),
            "",
            f"{'calibration':<16}  {'before':<8}  after",
            *(
                f"{name:<16}  {was:<8.4f}  {now:.4f}"
                for name, was, now in (
                    ("ECE", before.ece, after.ece),
                    ("Brier", before.brier, after.brier),
                    ("NLL", before.nll, after.nll),
                )
            ),
        ]
    )


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
