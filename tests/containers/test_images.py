"""What is in the images, and what is not."""

import json
from typing import Any

import pytest

from support.containers import IMAGES, VERSION, docker

PYTHON_IMAGES = ("ingest", "report", "dashboard", "inference", "tools")
LEARNING = {"torch", "torchvision", "timm", "openvino", "bentoml", "grad-cam", "scikit-learn"}
BUILDING = ("pip", "pip3", "gcc", "cc", "g++", "make", "ld", "git", "wget", "curl")
MOST_MB = {"ingest": 320, "report": 520, "dashboard": 280, "tools": 320, "frontend": 200}
"""Some 50 MB over what they have; inference has torch, whose builds differ by gigabytes."""
LIST_DISTRIBUTIONS = """
import json
from importlib.metadata import distributions
print(json.dumps(sorted(each.name.lower() for each in distributions())))
"""
FIND_PROGRAMS = "import shutil, sys; print(*filter(shutil.which, sys.argv[1:]))"


def run(image: str, *command: str) -> str:
    hardened = ("--read-only", "--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges")
    return docker("run", "--rm", *hardened, "--entrypoint", command[0], f"radrelay/{image}:{VERSION}", *command[1:])


def inspected(image: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("image", "inspect", f"radrelay/{image}:{VERSION}"))[0]
    return found


def distributions_of(image: str) -> set[str]:
    return set(json.loads(run(image, "/opt/radrelay/bin/python", "-c", LIST_DISTRIBUTIONS)))


@pytest.mark.parametrize("image", PYTHON_IMAGES)
def test_an_image_holds_its_own_service_and_no_other(image: str) -> None:
    found = distributions_of(image)
    own = "radrelay-local" if image == "tools" else f"radrelay-{image}"
    libraries = {"radrelay-shared", "radrelay-imaging"}
    assert {name for name in found if name.startswith("radrelay-")} - libraries == {own}
    # setuptools is what torch asks for when it runs.
    building = {"pip", "wheel", "setuptools"} - ({"setuptools"} if image == "inference" else set())
    assert not found & (building | {"pytest", "radrelay-phantoms"})


@pytest.mark.parametrize("image", PYTHON_IMAGES)
def test_only_inference_has_machine_learning(image: str) -> None:
    found = distributions_of(image) & LEARNING
    assert found == (LEARNING if image == "inference" else set())


@pytest.mark.parametrize("image", IMAGES)
def test_nothing_builds_or_downloads_in_an_image(image: str) -> None:
    assert run(image, "python3", "-c", FIND_PROGRAMS, *BUILDING).split() == []


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_10001_and_says_what_it_is(image: str) -> None:
    config = inspected(image)["Config"]
    assert config["User"] == "10001:10001"
    labels = config["Labels"]
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    if image != "base":
        assert labels["org.opencontainers.image.title"]
        assert labels["org.opencontainers.image.version"] == VERSION
        assert labels["org.opencontainers.image.revision"]
        assert "Healthcheck" in config


@pytest.mark.parametrize("image", IMAGES)
def test_nothing_of_the_package_index_is_left_in_an_image(image: str) -> None:
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", f"radrelay/{image}:{VERSION}")
    environment = "\n".join(inspected(image)["Config"]["Env"])
    for trace in ("index-url", "PIP_", "--cert", "trusted-host"):
        assert trace not in history
        assert trace not in environment
    assert run(image, "sh", "-c", "ls /etc/pip.conf /root/.config/pip /wheels 2>/dev/null || true") == ""


@pytest.mark.parametrize("image", MOST_MB)
def test_an_image_stays_small(image: str) -> None:
    assert inspected(image)["Size"] < MOST_MB[image] * 1_000_000
