"""``make test-versions``: the tests on every declared Python that is here, with the lowest and the newest NumPy it can have.

PYTHONS='python3.11 /path/to/python3.13' names the interpreters; otherwise those on the path, and those of pyenv, are taken.
ONLY='tests/engine tests/ops' runs a part of the tests. Every combination has a virtual environment in build/versions.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LEAST_PYTHON = int(re.fullmatch(r">=3\.(\d+)", DECLARED["requires-python"])[1])
LEAST_NUMPY = int(re.search(r"numpy>=2\.(\d+)", " ".join(DECLARED["dependencies"]))[1])
NEWEST_PYTHON, NEWEST_NUMPY = 14, 4
"""The newest of each when this was written; later ones are tried as soon as somebody raises these."""


def interpreters() -> dict[int, str | None]:
    """For each declared Python 3.x an interpreter, or None."""
    named = os.environ.get("PYTHONS", "").split()
    if named:
        found = {minor_of(python): python for python in named}
        return {minor: python for minor, python in found.items() if minor is not None}
    return {minor: next(candidates(minor), None) for minor in range(LEAST_PYTHON, NEWEST_PYTHON + 1)}


def candidates(minor: int) -> Iterator[str]:
    """Where a Python 3.x may be, if it runs."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    places = [shutil.which(f"python3.{minor}"), *map(str, sorted(pyenv.glob(f"3.{minor}.*/bin/python"), reverse=True))]
    yield from (place for place in (*places, sys.executable) if place and minor_of(place) == minor)


def minor_of(python: str) -> int | None:
    """The x of the Python 3.x that an interpreter is; None if it does not run."""
    code = "import sys; print(sys.version_info.minor)"
    try:
        run = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return int(run.stdout) if run.returncode == 0 and run.stdout.strip().isdigit() else None


def environment(python: str, minor: int, lowest: bool) -> tuple[Path, str] | None:
    """The interpreter of an environment with that NumPy, and its version; None if none is to be had."""
    folder = ROOT / "build" / "versions" / f"3.{minor}-{'lowest' if lowest else 'newest'}"
    inner = folder / "bin" / "python"
    if not inner.exists():
        subprocess.run([python, "-m", "venv", folder], check=True)
    wanted = [f"numpy==2.{number}.*" for number in range(LEAST_NUMPY, NEWEST_NUMPY + 1)] if lowest else ["numpy"]
    dev = DECLARED["optional-dependencies"]["dev"]
    needed = [*DECLARED["dependencies"][1:], *(row for row in dev if row.startswith(("pytest", "hypothesis")))]
    for numpy in wanted:
        if installs(inner, numpy, *needed):
            tried = [row for row in dev if not row.startswith(("pytest", "hypothesis", "mypy", "ruff", "coverage"))]
            missing = [row for row in tried if not installs(inner, numpy, row)]
            shown = subprocess.run([inner, "-c", "import numpy; print(numpy.__version__)"], capture_output=True, text=True)
            return inner, shown.stdout.strip() + (f", without {', '.join(missing)}" if missing else "")
    return None


def installs(python: Path, *packages: str) -> bool:
    """Whether these packages are to be had, NumPy without being compiled."""
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", "numpy"]
    return subprocess.run([*pip, *packages], capture_output=True, check=False).returncode == 0


def passed(python: Path) -> tuple[bool, str]:
    """Whether the tests pass, and pytest's last line."""
    tests = os.environ.get("ONLY", "tests").split()
    paths = os.pathsep.join(str(ROOT / name) for name in ("", "tests"))
    settings = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    command = [python, "-m", "pytest", "-q", "--tb=short", "-o", "addopts=", "-p", "no:cacheprovider"]
    run = subprocess.run([*command, *tests], cwd=ROOT, env=settings, stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode:
        print(run.stdout, flush=True)
    return run.returncode == 0, run.stdout.strip().splitlines()[-1]


def main() -> int:
    rows, failed = [], False
    for minor, python in interpreters().items():
        if python is None:
            rows.append(f"Python 3.{minor}: not tried, there is no such interpreter here")
            continue
        for lowest in (True, False):
            print(f"Python 3.{minor} with the {'lowest' if lowest else 'newest'} NumPy", flush=True)
            found = environment(python, minor, lowest)
            if found is None:
                rows.append(f"Python 3.{minor}: not tried, no NumPy is to be had for it")
                break
            good, said = passed(found[0])
            failed |= not good
            rows.append(f"Python 3.{minor}, NumPy {found[1]}: {said}")
    print("\n".join(rows))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
