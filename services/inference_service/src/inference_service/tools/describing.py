"""A bundle and its evaluation in words."""

from inference_service.bundles import Bundle
from inference_service.bundles.manifest import BundleManifest, CalibrationSpec, Reference
from inference_service.tools.evaluation import Estimate, Evaluation, Explanation, Subgroup


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
        "calibration": describe_calibration(manifest.calibration),
        "thresholds": f"positive {thresholds.positive:g}, urgent {thresholds.urgent:g}, stat {thresholds.stat:g}",
        "reference": _reference(manifest.reference),
        "data": provenance.data,
        "method": provenance.method,
        "code version": provenance.code_version,
        "seed": "not given" if provenance.seed is None else str(provenance.seed),
        "weights": f"{len(bundle.weights) / 1e6:.1f} MB",
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())


def describe_calibration(spec: CalibrationSpec) -> str:
    """The temperature, and how large the isotonic map is."""
    isotonic = "no isotonic map" if spec.isotonic is None else f"isotonic map of {len(spec.isotonic.x)} knots"
    return f"temperature {spec.temperature:.4g}, {isotonic}"


def _reference(reference: Reference | None) -> str:
    if reference is None:
        return "none"
    return f"{reference.cases} cases, probability and {len(reference.levels)} channels"


def describe_evaluation(manifest: BundleManifest, evaluation: Evaluation) -> str:
    """The figures as text, with 95% confidence intervals in brackets, under what the bundle is for."""
    before, after = evaluation.before_calibration, evaluation.after_calibration
    return "\n".join(
        [
            f"{manifest.label}. {manifest.intended_use}",
            f"{evaluation.cases} cases, {evaluation.positives} positive; 95% confidence intervals in brackets",
            f"AUROC  {interval(evaluation.auroc)}",
            f"AUPRC  {interval(evaluation.auprc)}",
            "",
            f"{'threshold':<16}  {'sensitivity':<22}  specificity",
            *(
                f"{f'{each.name} {each.threshold:.3g}':<16}  {interval(each.sensitivity):<22}  "
                f"{interval(each.specificity)}"
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
            *_subgroups(evaluation.subgroups),
            *_explanation(evaluation.explanation),
        ]
    )


def _subgroups(subgroups: tuple[Subgroup, ...]) -> list[str]:
    if not subgroups:
        return []
    width = max(16, *(len(each.name) for each in subgroups))
    return [
        "",
        f"{'group':<{width}}  {'positives':<9}  sensitivity at positive",
        *(f"{each.name:<{width}}  {each.positives:<9}  {interval(each.sensitivity)}" for each in subgroups),
    ]


def _explanation(explanation: Explanation | None) -> list[str]:
    if explanation is None:
        return []
    lines = ["", f"explanation of {explanation.true_positives} true positives at positive"]
    for name, figure in (("heat hits lesion", explanation.hit_rate), ("heat inside", explanation.heat_inside)):
        value = "not measured" if figure is None else f"{interval(figure.estimate)}  of {figure.cases}"
        lines.append(f"{name:<16}  {value}")
    return lines


def interval(estimate: Estimate) -> str:
    """The figure to three decimals, and its interval in brackets."""
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
