"""What a user gets by ``pip install``: the wheel, in a fresh environment, beside a project with its own models/ and viz/."""

import email
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad.extras import DISTRIBUTION

ROOT = Path(__file__).parent.parent.parent
SHIPPED = ("minigrad", "models", "viz")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

SCRIPT = '''
import sys
import minigrad, minigrad.models, minigrad.viz, models, viz
from minigrad import Tensor, optim
from minigrad.models import LSTM, Head, unroll

assert models.MINE == "my models" and viz.MINE == "my pictures"
cell, head = LSTM(3, 4, seed=0), Head(4, 2, seed=0)
weights = [*cell.parameters(), *head.parameters()]
sgd = optim.SGD(weights, lr=0.1)
hs, _ = unroll(cell, [[[1.0, 2.0, 3.0]]] * 5)
loss = head.loss(hs, [[1]] * 5)
picture = minigrad.viz.draw(loss).html()
loss.backward()
sgd.step()
print(minigrad.__version__, minigrad.__file__, minigrad.models.__file__, minigrad.viz.__file__, "svg" in picture, sep="\\n")
'''


def run(*command: object, cwd: Path) -> str:
    """What a command prints; it must succeed, without the checkout that the tests may have been pointed at."""
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=settings, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources, without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    for name in SHIPPED:
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, sources, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_of_the_three_floors_and_nothing_else(wheel: Path) -> None:
    expected = {
        (name if name == "minigrad" else f"minigrad/{name}") + f"/{path.relative_to(ROOT / name).as_posix()}"
        for name in SHIPPED
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == expected


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    files = zipfile.ZipFile(wheel)
    (metadata,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
    said = email.message_from_bytes(files.read(metadata))
    assert said["Name"] == DISTRIBUTION == PROJECT["name"]
    assert said["Version"] == minigrad.__version__
    assert said["License-Expression"] == "MIT"
    assert wheel.name == f"{DISTRIBUTION.replace('-', '_')}-{minigrad.__version__}-py3-none-any.whl"
    assert any(name.endswith("/LICENSE") for name in files.namelist())


def test_every_extra_that_a_message_names_is_one_and_no_name_but_ours_is_installed() -> None:
    sources = [path.read_text(encoding="utf-8") for name in SHIPPED for path in (ROOT / name).rglob("*.py")]
    calls = re.compile(r"""(?:installing\(|optional_package\([^,]*, )["'](\w+)""")
    named = {extra for text in sources for extra in calls.findall(text)}
    assert {"safetensors", "png"} <= named <= set(PROJECT["optional-dependencies"])
    assert not [found for text in sources for found in re.findall(r"minigrad\[\w+\]", text)]


def test_installed_it_works_beside_a_project_that_has_models_and_viz_of_its_own(wheel: Path, tmp_path: Path) -> None:
    environment, project = tmp_path / "environment", tmp_path / "project"
    venv.create(environment, with_pip=False)
    python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    installed = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    at_hand = {Path(np.__file__).parent.parent, Path(sysconfig.get_path("purelib"))}
    (installed / "at_hand.pth").write_text("\n".join(map(str, at_hand)), encoding="utf-8")  # numpy and graphviz
    for name, mine in (("models", "my models"), ("viz", "my pictures")):
        (project / name).mkdir(parents=True)
        (project / name / "__init__.py").write_text(f"MINE = {mine!r}\n", encoding="utf-8")
    (project / "train.py").write_text(SCRIPT, encoding="utf-8")
    version, *files, drawn = run(python, "-W", "error", "train.py", cwd=project).splitlines()
    assert version == minigrad.__version__
    assert all(Path(file).is_relative_to(installed / "minigrad") for file in files), files
    assert drawn == "True"
