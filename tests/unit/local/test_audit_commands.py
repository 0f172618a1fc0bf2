"""What `radrelay audit` says of several services at once."""

import pytest
from typer.testing import CliRunner, Result

from radrelay_local.audit import commands
from radrelay_local.audit.commands import BROKEN, HOLDS, UNKNOWN
from radrelay_local.errors import StackError

BOTH = {"ingest", "report"}


def verify(monkeypatch: pytest.MonkeyPatch, found: dict[str, int | None], *arguments: str) -> tuple[Result, set[str]]:
    """Type `verify` where this is found of each service's trail; None: it cannot be read."""
    asked = set()

    def look(_: object, service: str, __: object) -> int:
        asked.add(service)
        status = found[service]
        if status is None:
            raise StackError(f"the {service} API cannot be reached")
        return status

    monkeypatch.setattr(commands, "_verify", look)
    line = ["verify", "--tenant", "north", "--nats", "nats://broker.test", *arguments]
    return CliRunner().invoke(commands.app, line), asked


@pytest.mark.parametrize(
    ("ingest", "report", "status"),
    [
        (HOLDS, HOLDS, HOLDS),
        (HOLDS, BROKEN, BROKEN),
        (BROKEN, UNKNOWN, BROKEN),
        (None, BROKEN, BROKEN),
        (HOLDS, UNKNOWN, UNKNOWN),
        (None, HOLDS, UNKNOWN),
    ],
)
def test_a_broken_trail_outweighs_one_that_cannot_be_read_and_that_one_those_that_hold(
    monkeypatch: pytest.MonkeyPatch, ingest: int | None, report: int | None, status: int
) -> None:
    result, asked = verify(monkeypatch, {"ingest": ingest, "report": report})
    assert (result.exit_code, asked) == (status, BOTH), result.output
    assert ("the ingest API cannot be reached" in result.stderr) == (ingest is None)


@pytest.mark.parametrize("service", sorted(BOTH))
def test_one_service_can_be_named(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    others = dict.fromkeys(BOTH - {service}, BROKEN)
    result, asked = verify(monkeypatch, {service: HOLDS, **others}, "--service", service)
    assert (result.exit_code, asked) == (HOLDS, {service})


def test_numbers_are_each_services_own_so_that_after_needs_one() -> None:
    result = CliRunner().invoke(commands.app, ["export", "--tenant", "north", "--after", "3"])
    assert (result.exit_code, "name one with --service" in result.stderr) == (UNKNOWN, True)
