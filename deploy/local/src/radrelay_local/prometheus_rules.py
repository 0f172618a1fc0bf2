"""Prometheus rules for Kubernetes: the plain rule files as PrometheusRule objects, written, and checked against them.

`python -m radrelay_local.prometheus_rules --write DIR` writes DIR/prometheus-rules.yaml from DIR/rules/*.yaml;
`--check DIR` fails where the committed file is not what the rules say now.
Source: Prometheus Operator, API reference of monitoring.coreos.com/v1, PrometheusRule.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import yaml

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
    parser = argparse.ArgumentParser(description=__doc__)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", type=Path, metavar="DIR")
    mode.add_argument("--check", type=Path, metavar="DIR")
    options = parser.parse_args()
    directory: Path = options.write or options.check
    path, text = directory / WRITTEN, text_of(directory)
    if options.write:
        path.write_text(text)
    elif not path.is_file() or path.read_text() != text:
        sys.stderr.write(f"{path}: not what the rules say; run `make observability` and read the difference\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
