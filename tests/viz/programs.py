"""Programs that some tests of pictures need: in CI they must be there, elsewhere a test without them is skipped aloud."""

import os
import shutil

import pytest

HOW = "bash tests/viz/install_programs.sh installs them on Debian, as root"


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skips what cannot be tried here; in CI nothing is skipped, so that what is missing there is a failure."""
    absent = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(absent) and not in_ci(), reason=f"{' and '.join(absent)} not installed: {HOW}")
