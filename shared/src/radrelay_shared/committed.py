"""Files that are made from the code and committed: written by a command, and checked against it."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path


def write_or_check(files: Callable[[Path], Mapping[Path, str]], *, source: str, command: str) -> int:
    """Do what the command line asks for, `--write DIR` or `--check DIR`; return the exit status.

    Args:
        files: every file in a folder, and the text that it should hold.
        source: what says so, for a message: "the models say".
        command: writes them.
    """
    parser = argparse.ArgumentParser(
        description="Write the committed files that are made from the code, or check them."
    )
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", type=Path, metavar="DIR")
    mode.add_argument("--check", type=Path, metavar="DIR")
    options = parser.parse_args()
    if options.write:
        for path, text in files(options.write).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return 0
    stale = [path for path, text in files(options.check).items() if not path.is_file() or path.read_text() != text]
    for path in stale:
        sys.stderr.write(f"{path}: not what {source}; run `{command}` and read the difference\n")
    return 1 if stale else 0
