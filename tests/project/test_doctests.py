"""Every example in a docstring prints what it says it prints."""

import doctest
import importlib
import importlib.util
import pkgutil

import pytest

import minigrad
from minigrad import models, viz

SHIPPED = (minigrad, models, viz)
WITH_LLVM = [f"minigrad.loops.native.{name}" for name in ("build", "compiler", "curves", "gemm", "llvm", "rows", "run")]
OF_LLVM = [] if importlib.util.find_spec("llvmlite") else WITH_LLVM
"""What cannot be imported without llvmlite."""
NAMES = sorted(
    {package.__name__ for package in SHIPPED}
    | {found.name for package in SHIPPED for found in pkgutil.walk_packages(package.__path__[:1], package.__name__ + ".")}
)
EXAMPLES = [
    pytest.param(example, id=example.name)
    for name in NAMES
    if not name.endswith("__main__") and name not in OF_LLVM
    for example in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))
    if example.examples
]


def test_there_are_hundreds_and_every_floor_has_some():
    assert len(EXAMPLES) > 200
    for floor in ("minigrad.ops.", "minigrad.models.", "minigrad.viz."):
        assert any(str(example.id).startswith(floor) for example in EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_example_prints_what_it_shows(example: doctest.DocTest):
    printed: list[str] = []
    example.globs["__name__"] = "__main__"  # a user's code, whose lines messages name
    failed = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example, out=printed.append).failed
    assert not failed, "".join(printed)
