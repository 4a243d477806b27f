"""What every lesson needs around it: the folder that its picture goes to, and numbers in a row."""

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["output_folder", "row"]


def output_folder() -> Path:
    """The folder named on the command line, ./lesson-output if none is; made if it is not there.

    Ends the program with one line on stderr when the folder cannot be made or written to.
    """
    parser = argparse.ArgumentParser(description="Answer this lesson's question and draw its picture.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("lesson-output"), help="where the picture goes")
    folder: Path = parser.parse_args().folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        sys.exit(f"the folder {folder} cannot be made ({problem.strerror}); name another one")
    if not os.access(folder, os.W_OK):
        sys.exit(f"the folder {folder} may not be written to; name another one")
    return folder


def row(values: npt.ArrayLike) -> str:
    """The entries of an array in one line, 15 digits after the point.

    >>> row([1 / 3, -2.0])
    ' 0.333333333333333  -2.000000000000000'
    """
    return "  ".join(f"{value:>18.15f}" for value in np.ravel(values))
