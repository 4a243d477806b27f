"""One house, three floors: what may import what, and what may be installed."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FLOORS = {"minigrad": ROOT / "minigrad", "minigrad.models": ROOT / "models", "minigrad.viz": ROOT / "viz"}
"""The import name of each floor, and its folder in the checkout."""
ALLOWED = {"numpy", "graphviz", "typing_extensions", "minigrad"}
OPTIONAL = {"safetensors"}


def module_of(path: Path) -> str:
    """The import name of a file."""
    floor = next(name for name, folder in FLOORS.items() if path.is_relative_to(folder))
    inner = path.relative_to(FLOORS[floor]).with_suffix("").parts
    return ".".join((floor, *(part for part in inner if part != "__init__")))


def imports_of(path: Path) -> Iterator[str]:
    """The import name of everything a file imports."""
    here = module_of(path).split(".")
    package = here if path.name == "__init__.py" else here[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def sources(floor: str) -> list[Path]:
    return sorted(FLOORS[floor].rglob("*.py"))


def within(imported: str, package: str) -> bool:
    return imported == package or imported.startswith(f"{package}.")


@pytest.mark.parametrize(
    ("floor", "folder", "forbidden"),
    [
        ("minigrad", "", ["minigrad.models", "minigrad.viz"]),
        ("minigrad.models", "", ["minigrad.viz"]),
        ("minigrad.viz", "", ["minigrad.models"]),
        ("minigrad.models", "by_hand", ["minigrad.viz", "minigrad.tensor", "minigrad.ops", "minigrad.Tensor"]),
    ],
)
def test_nothing_points_upward(floor: str, folder: str, forbidden: list[str]) -> None:
    for path in sources(floor):
        if path.is_relative_to(FLOORS[floor] / folder):
            wrong = [name for name in imports_of(path) if any(within(name, package) for package in forbidden)]
            assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize("floor", ["minigrad.models", "minigrad.viz"])
def test_a_floor_calls_its_own_files_by_relative_imports(floor: str) -> None:
    for path in sources(floor):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        absolute = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
        wrong = [name for name in absolute if name and within(name, floor)]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize("floor", FLOORS)
def test_only_the_three_allowed_packages_are_needed_at_run_time(floor: str) -> None:
    for path in sources(floor):
        foreign = {name.split(".")[0] for name in imports_of(path)} - ALLOWED - OPTIONAL - set(sys.stdlib_module_names)
        assert not foreign, f"{path.relative_to(ROOT)} imports {foreign}"


def test_every_folder_with_code_is_shipped() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    assert set(listed) == {module_of(path) for floor in FLOORS for path in sources(floor) if path.name == "__init__.py"}
