"""One house, three floors: what may import what, and what may be installed."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent.parent
FLOORS = {"minigrad": ROOT / "minigrad", "minigrad.models": ROOT / "models", "minigrad.viz": ROOT / "viz"}
"""The import name of each floor, and its folder in the checkout."""
ALLOWED = {"numpy", "graphviz", "typing_extensions", "minigrad"}
OPTIONAL = {"safetensors", "tqdm", "resvg_py", "mpi4py", "llvmlite"}


def module_of(path: Path) -> str:
    """The import name of a file."""
    floor = next(name for name, folder in FLOORS.items() if path.is_relative_to(folder))
    inner = path.relative_to(FLOORS[floor]).with_suffix("").parts
    return ".".join((floor, *(part for part in inner if part != "__init__")))


class Read(NamedTuple):
    """What is read in a file: its imports, those that only a type checker reads, and the attributes that it names."""

    imports: list[ast.Import | ast.ImportFrom]
    for_types: list[ast.Import | ast.ImportFrom]
    attributes: set[str]


@cache
def read(path: Path) -> Read:
    """A file, parsed once for all tests."""
    found = Read([], [], set())
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            inside = [inner for part in node.body for inner in ast.walk(part)]
            found.for_types.extend(inner for inner in inside if isinstance(inner, ast.Import | ast.ImportFrom))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.imports.append(node)
        elif isinstance(node, ast.Attribute):
            found.attributes.add(node.attr)
    return found


def imports_of(path: Path, run: bool = False) -> Iterator[str]:
    """The import name of everything a file imports; with ``run`` without what only a type checker reads."""
    here = module_of(path).split(".")
    package = here if path.name == "__init__.py" else here[:-1]
    left_out = read(path).for_types if run else []
    for node in read(path).imports:
        if any(node is other for other in left_out):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
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
        absolute = [node.module for node in read(path).imports if isinstance(node, ast.ImportFrom) and not node.level]
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


def nearest_module(imported: str, files: dict[str, Path]) -> str | None:
    """The file that an import reads: the module itself, or the one that the name is taken from."""
    return next((name for name in (imported, imported.rpartition(".")[0]) if name in files), None)


def test_no_import_goes_in_a_circle() -> None:
    files = {module_of(path): path for floor in FLOORS for path in sources(floor)}
    arrows = {name: {nearest_module(found, files) for found in imports_of(path, run=True)} for name, path in files.items()}
    while arrows:
        ends = [name for name, targets in arrows.items() if not (targets - {name}) & arrows.keys()]
        assert ends, f"imports go in a circle among {sorted(arrows)}"
        arrows = {name: targets for name, targets in arrows.items() if name not in ends}


PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def test_the_page_of_the_architecture_names_every_room_of_the_engine_and_no_other() -> None:
    table = PAGE.partition("## The rooms of the engine")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")][1:]
    named = {name for cell in cells for name in re.findall(r"[\w/]+", re.sub(r"\]\([^)]*\)|\.py", "", cell))}
    rooms = {path.stem for path in FLOORS["minigrad"].glob("[!_]*.py")}
    rooms |= {f"{path.parent.name}/" for path in FLOORS["minigrad"].glob("*/__init__.py")}
    assert {name for name in named if not name.startswith("loops/") or name == "loops/"} == rooms


def test_what_the_page_of_the_architecture_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert len(links) > 10
    assert not [link for link in links if not (ROOT / link).exists()]


def test_no_setting_of_numpys_is_used_that_an_interrupt_leaves_on() -> None:
    for floor, folder in FLOORS.items():
        for path in sources(floor):
            assert "errstate" not in read(path).attributes, f"{path.relative_to(folder)}: write reporting(…) or within(…)"
