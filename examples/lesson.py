"""What every lesson needs around it: the folder that its picture goes to."""

import argparse
import sys
from pathlib import Path

__all__ = ["output_folder"]


def output_folder() -> Path:
    """The folder named on the command line, ./lesson-output if none is; made if it is not there.

    Ends the program with one line on stderr when the folder cannot be made.
    """
    parser = argparse.ArgumentParser(description="Answer this lesson's question and draw its picture.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("lesson-output"), help="where the picture goes")
    folder: Path = parser.parse_args().folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        sys.exit(f"the folder {folder} cannot be made ({problem.strerror}); name another one")
    return folder
