"""Options that several commands have."""

from pathlib import Path
from typing import Annotated, Final

import typer

from radrelay_local.home import HOME_VARIABLE

HomeOption = Annotated[
    Path, typer.Option("--home", envvar=HOME_VARIABLE, help="Folder of the stack's data, logs and state.")
]
DEFAULT_HOME: Final = Path("build/stack")
