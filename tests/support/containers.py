"""The product of deploy/compose as one project of Compose, on the images of `make images`."""

import json
import os
import socket
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from radrelay_local.client.development_tokens import development_token

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final = ROOT / "deploy" / "compose"
PROGRAM: Final = str(COMPOSE / "docker-compose")
VERSION: Final = os.environ.get("VERSION", "0.1.0")
"""The images' tag."""
IMAGES: Final = (
    *("base", "ingest", "report", "dashboard", "inference", "frontend", "tools", "bundles"),
    *("test-nats", "test-seaweedfs", "test-postgres"),
)


def docker(*arguments: str) -> str:
    """What a command of Docker prints."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True, slots=True)
class ComposedProduct:
    """A running project of Compose, in a folder of its own."""

    folder: Path
    project: str
    port: int

    @property
    def base_url(self) -> str:
        """The one origin."""
        return f"http://127.0.0.1:{self.port}"

    def issue_token(self, tenant: str, user: str, roles: Iterable[str]) -> str:
        """A token of the profile `dev`'s issuer."""
        return development_token(self.base_url, tenant, user, roles)

    def addresses(self) -> dict[str, str]:
        """What the demo shows at its end."""
        return {"Clinician frontend": self.base_url}

    def compose(self, *arguments: str, timeout_s: float = 120) -> str:
        """What a command of Compose prints.

        Raises:
            AssertionError: it failed; the message has the end of what it and the containers said.
        """
        files = ("--env-file", "dev.env", "--env-file", "test.env", "--file", "compose.yaml", "--file", "test.json")
        command = [PROGRAM, "--project-name", self.project, "--profile", "dev", *files, *arguments]
        result = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=timeout_s
        )
        if result.returncode:
            raise AssertionError(f"{' '.join(arguments)}: {result.stderr[-3000:]}\n{self._logs()[-6000:]}")
        return result.stdout

    def containers(self) -> dict[str, dict[str, Any]]:
        """What Docker knows of each container, ended ones too, by the name of its service."""
        label = f"label=com.docker.compose.project={self.project}"
        found = json.loads(docker("inspect", *docker("ps", "--all", "--quiet", "--filter", label).split()))
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in found}

    def _logs(self) -> str:
        command = [PROGRAM, "--project-name", self.project, "logs", "--tail", "15", "--no-color"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
