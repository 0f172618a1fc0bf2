"""Runs schemathesis against an API that is being served: every check, on every operation of its OpenAPI document."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from radrelay_shared.http import RateLimitSettings

_SUPPORT: Final = Path(__file__).parent
_SETTINGS: Final = _SUPPORT / "schemathesis.toml"
_TIMEOUT_S: Final = 3000.0

_NEVER: Final = "1000000/minute"
UNLIMITED: Final = RateLimitSettings(
    user_reads=_NEVER, user_writes=_NEVER, tenant_reads=_NEVER, tenant_writes=_NEVER, address_failures=_NEVER
)
"""Schemathesis is a flood, and most of what it sends is wrong."""


async def assert_conforms(
    address: str, token: str, known: Mapping[str, Sequence[str | int]], folder: Path, *, max_examples: int
) -> None:
    """Fail, and show what was found, where the API does not do what its document says.

    Args:
        address: of the API.
        token: of a caller that every operation knows.
        known: values by parameter, such as `path.batch_id`, of what is there.
        folder: an empty folder for the settings of this run.
        max_examples: generated requests for each operation; the same ones in each run.
    """
    settings = folder / "schemathesis.toml"
    settings.write_text(_SETTINGS.read_text() + _known(known))
    command = [
        *(sys.executable, "-m", "schemathesis.cli", f"--config-file={settings}", "run", f"{address}/openapi.json"),
        *("--checks=all", f"--max-examples={max_examples}", "--continue-on-failure"),
    ]
    environment = os.environ | {
        "RADRELAY_CONTRACT_TOKEN": token,
        "SCHEMATHESIS_HOOKS": "support.schemathesis_hooks",
        "PYTHONPATH": os.pathsep.join([str(_SUPPORT.parent), os.environ.get("PYTHONPATH", "")]),
    }
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()


def _share(parameter: str) -> float:
    """How often a known value is taken: always where hardly any made-up one fits what a schema cannot say."""
    return 1.0 if parameter.startswith("header.") else 0.5


def _known(known: Mapping[str, Sequence[str | int]]) -> str:
    """The values as dictionaries of schemathesis, each bound to its parameter."""
    lines = []
    for number, (parameter, values) in enumerate(known.items()):
        lines += [f"[dictionaries.known-{number}]", f"values = {json.dumps(values)}"]
        lines += [f'[parameters."{parameter}"]', f'dictionary = "known-{number}"', f"probability = {_share(parameter)}"]
    return "\n".join(["", *lines, ""])
