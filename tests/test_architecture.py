"""One house, three floors: what may import what, and what may be installed."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STANDARD_OR_ALLOWED = {"numpy", "graphviz", "typing_extensions", "minigrad", "models", "viz"}
OPTIONAL = {"safetensors"}


def imports_of(path: Path) -> Iterator[str]:
    """The top-level package of everything a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [("minigrad", {"models", "viz"}), ("models", {"viz"}), ("viz", {"models"}), ("models/by_hand", {"minigrad", "viz"})],
)
def test_nothing_points_upward(package: str, forbidden: set[str]) -> None:
    for path in sources(package):
        wrong = forbidden & set(imports_of(path))
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize("package", ["minigrad", "models", "viz"])
def test_only_the_three_allowed_packages_are_needed_at_run_time(package: str) -> None:
    for path in sources(package):
        foreign = set(imports_of(path)) - STANDARD_OR_ALLOWED - OPTIONAL - set(sys.stdlib_module_names)
        assert not foreign, f"{path.relative_to(ROOT)} imports {foreign}"
