"""Dockerfiles keep the rules: on a base that is an argument, unprivileged, nothing to build with, labelled."""

import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from radrelay_local.parts import edge
from support.containment import dockerfile_problems

ROOT = Path(__file__).parents[3]
BUILD = ROOT / "deploy" / "images" / "build.yaml"
DOCKERFILES = sorted(
    str(path.relative_to(ROOT))
    for folder in ("services", "deploy", "bundles")
    for path in (ROOT / folder).rglob("Dockerfile")
)
BASE = "deploy/images/base/Dockerfile"
EXAMPLE = "services/report_service/Dockerfile"


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_every_dockerfile_is_built_by_make_images() -> None:
    services: dict[str, Any] = yaml.safe_load(BUILD.read_text(encoding="utf-8"))["services"]
    assert sorted({service["build"]["dockerfile"] for service in services.values()}) == DOCKERFILES
    assert {service["build"]["network"] for service in services.values()} == {"none"}


@pytest.mark.parametrize("name", DOCKERFILES)
def test_a_dockerfile_keeps_the_rules(name: str) -> None:
    assert dockerfile_problems(text_of(name), describes_itself=name != BASE) == []


@pytest.mark.parametrize(
    ("what", "becomes"),
    [
        ("FROM ${BASE_IMAGE}\n", "FROM python:3.11\n"),
        ("FROM ${BASE_IMAGE}\n", "FROM ${BASE_IMAGE}\nUSER 0\n"),
        ("FROM ${BASE_IMAGE}\n", "FROM ${BASE_IMAGE}\nUSER root\n"),
        ("FROM ${BASE_IMAGE}\n", "FROM ${BASE_IMAGE}\nRUN apt-get install -y curl\n"),
        ("FROM ${BASE_IMAGE}\n", "FROM ${BASE_IMAGE}\nRUN pip install debugpy\n"),
        ("FROM ${BASE_IMAGE}\n", "FROM ${BASE_IMAGE}\nADD https://example.org/tool /usr/bin/tool\n"),
        ("radrelay/base:0.1.0", "radrelay/base:latest"),
        ("ARG REVISION=unknown", "ARG INDEX_PASSWORD"),
        ("HEALTHCHECK --interval", "STOPSIGNAL SIGTERM #"),
        ('org.opencontainers.image.revision="${REVISION}"', 'revision="${REVISION}"'),
    ],
)
def test_a_fault_in_a_dockerfile_is_found(what: str, becomes: str) -> None:
    text = text_of(EXAMPLE)
    assert what in text
    assert dockerfile_problems(text.replace(what, becomes))


@pytest.mark.parametrize(("path", "process"), [route for route in edge.ROUTES.items() if route[1] != "issuer"])
def test_an_api_is_started_as_in_the_embedded_stack(path: str, process: str) -> None:
    service = process.removesuffix("-api")
    command = re.search(r"^CMD (\[.*?\])$", text_of(f"services/{service}_service/Dockerfile"), re.MULTILINE | re.DOTALL)
    assert command is not None
    words = re.findall(r'"([^"]+)"', command[1])
    assert words[:3] == ["uvicorn", "--factory", f"{service}_service.main:create_app"]
    options = dict(pairwise(words))
    assert (options["--root-path"], options["--port"]) == (path, "8000")
    assert "--timeout-graceful-shutdown" in options


def test_the_context_leaves_out_what_no_image_is_made_of() -> None:
    lines = [line for line in text_of(".dockerignore").splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert all(line.startswith("!") for line in lines[1:])


@pytest.mark.parametrize(
    ("docker", "said"), [(None, "apt-get install docker.io"), ("#!/bin/sh\nexit 1\n", "start its daemon")]
)
@pytest.mark.parametrize("command", ["require-docker", "build"])
def test_what_is_missing_is_said(tmp_path: Path, command: str, docker: str | None, said: str) -> None:
    for program in ("bash", "env"):
        (tmp_path / program).symlink_to(str(shutil.which(program)))
    if docker:
        (tmp_path / "docker").write_text(docker)
        (tmp_path / "docker").chmod(0o755)
    result = subprocess.run(
        [f"deploy/images/{command}"], cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert said in result.stderr
