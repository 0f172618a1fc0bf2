"""The table of metrics in docs/observability.md is that of the code."""

from prometheus_client.metrics import MetricWrapperBase

import dashboard_service.metrics
import inference_service.metrics
import inference_service.serving_metrics
import ingest_service.metrics
import radrelay_shared.observability.metrics
import report_service.metrics
from support.promql import documented_metrics

MODULES = (
    radrelay_shared.observability.metrics,
    ingest_service.metrics,
    inference_service.metrics,
    inference_service.serving_metrics,
    report_service.metrics,
    dashboard_service.metrics,
)


def test_the_documented_metrics_are_those_of_the_code() -> None:
    made = {
        (f"{each._name}_total" if each._type == "counter" else each._name, ", ".join(each._labelnames))
        for module in MODULES
        for each in vars(module).values()
        if isinstance(each, MetricWrapperBase)
    }
    assert sorted(documented_metrics()) == sorted(made)
