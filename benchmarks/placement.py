"""The processes of a stack on the cores of a layout."""

import os
from dataclasses import replace
from pathlib import Path

from benchmarks.layout import pinned
from radrelay_local.definition import ProcessDefinition


def placed(definition: ProcessDefinition, cores: frozenset[int]) -> ProcessDefinition:
    """The same process, kept to these cores."""
    # Processes run in folders of their own, where this package is not found by itself.
    path = os.pathsep.join(filter(None, (str(Path.cwd()), os.environ.get("PYTHONPATH"))))
    return replace(definition, command=pinned(definition.command, cores), env={**definition.env, "PYTHONPATH": path})
