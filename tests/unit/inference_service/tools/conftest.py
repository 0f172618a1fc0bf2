"""The command, run in this process."""

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from inference_service.tools.cli import app

Command = Callable[..., Result]


@pytest.fixture
def radrelay_bundle() -> Command:
    """Runs `radrelay-bundle` with the arguments given."""
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])
