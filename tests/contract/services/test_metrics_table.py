"""The table of metrics in docs/observability.md is that of the code."""

import re
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

import dashboard_service.metrics
import inference_service.metrics
import inference_service.serving_metrics
import ingest_service.metrics
import radrelay_shared.observability.metrics
import report_service.metrics

MODULES = (
    radrelay_shared.observability.metrics,
    ingest_service.metrics,
    inference_service.metrics,
    inference_service.serving_metrics,
    report_service.metrics,
    dashboard_service.metrics,
)
ROW = re.compile(r"^\| `(radrelay_\w+)` \| ([\w, ]*) ?\|", re.MULTILINE)


def test_the_documented_metrics_are_those_of_the_code() -> None:
    made = {
        (f"{each._name}_total" if each._type == "counter" else each._name, ", ".join(each._labelnames))
        for module in MODULES
        for each in vars(module).values()
        if isinstance(each, MetricWrapperBase)
    }
    documented = [(name, labels.strip()) for name, labels in ROW.findall(Path("docs/observability.md").read_text())]
    assert sorted(documented) == sorted(made)
