"""The demo: a client of the public HTTP API that shows the whole product at work."""

from radrelay_local.demo.scenario import run

__all__ = ["run"]
