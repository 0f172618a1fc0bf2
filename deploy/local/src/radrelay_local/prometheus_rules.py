"""Prometheus rules for Kubernetes: the plain rule files as PrometheusRule objects, written, and checked against them.

`python -m radrelay_local.prometheus_rules --write DIR` writes DIR/prometheus-rules.yaml from DIR/rules/*.yaml;
`--check DIR` fails where the committed file is not what the rules say now.
Source: Prometheus Operator, API reference of monitoring.coreos.com/v1, PrometheusRule.
"""

import sys
from pathlib import Path
from typing import Any, Final

import yaml

from radrelay_shared.committed import write_or_check

WRITTEN: Final = "prometheus-rules.yaml"
_HEADER: Final = "# Written from rules/*.yaml by `make observability`; do not edit.\n"
_WIDE: Final = 10_000


def objects_of(directory: Path) -> list[dict[str, Any]]:
    """One PrometheusRule for each rule file, called as it is."""
    return [
        _object(path.stem, yaml.safe_load(path.read_text())) for path in sorted((directory / "rules").glob("*.yaml"))
    ]


def _object(name: str, rules: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {
            "name": f"radrelay-{name}",
            "labels": {"app.kubernetes.io/part-of": "radrelay", "role": "alert-rules"},
        },
        "spec": {"groups": rules["groups"]},
    }


def text_of(directory: Path) -> str:
    """What the file should hold."""
    return _HEADER + yaml.safe_dump_all(objects_of(directory), sort_keys=False, width=_WIDE, explicit_start=True)


def main() -> int:
    """Write or check; the exit status says whether all is as it should be."""
    return write_or_check(
        lambda directory: {directory / WRITTEN: text_of(directory)},
        source="the rules say",
        command="make observability",
    )


if __name__ == "__main__":
    sys.exit(main())
