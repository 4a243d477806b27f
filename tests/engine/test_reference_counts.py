"""The guard asks how many references there are to an array, which not every interpreter counts alike."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import minigrad
from minigrad.errors import UnsupportedInterpreterError
from minigrad.guard import check_counts

ENGINE = Path(minigrad.__file__).parent


def counted(source: str) -> Iterator[ast.expr]:
    """What the source asks the count of references of."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "sys.getrefcount":
            yield node.args[0]


def is_lent(asked: ast.expr) -> bool:
    """Whether it is a local name: Python 3.14 lends what stands there, and counts one reference less."""
    return isinstance(asked, ast.Name)


def test_counts_that_are_compared_with_a_number_are_asked_of_no_local_name() -> None:
    asked = {path.name: list(counted(path.read_text(encoding="utf-8"))) for path in (ENGINE / "guard.py", ENGINE / "values.py")}
    assert all(asked.values())
    assert not [ast.unparse(one) for found in asked.values() for one in found if is_lent(one)]


def test_a_count_of_a_local_name_is_noticed() -> None:
    (asked,) = counted("base = array.base\nsys.getrefcount(base) > 3")
    assert is_lent(asked)


@pytest.mark.parametrize("count", [lambda array: 1, lambda array: sys.getrefcount(array), lambda array: 2**32 - 1])
def test_an_interpreter_that_counts_otherwise_is_refused(count) -> None:
    """One less where references are lent, one more where they are not, none where nothing is counted."""
    with pytest.raises(UnsupportedInterpreterError, match=r"counts references as CPython 3\.11 to 3\.14 do"):
        check_counts(count)


def test_this_interpreter_is_not() -> None:
    check_counts(sys.getrefcount)
