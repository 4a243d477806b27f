"""What the compiler of native code makes of a piece of Python computes what Python computes of it."""

from __future__ import annotations

import ctypes
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native loops are NOT tested: llvmlite is not installed, or not for this interpreter")

from minigrad.loops.native import build
from minigrad.loops.native.build import built
from minigrad.loops.program import CannotCompile

INTEGERS = [
    "x + y", "x - y", "x * y", "x // 3", "-x", "x & y", "x | y", "x ^ y", "x >> 1", "min(x, y)", "max(x, y)",
    "(x < y) + (x <= y) * 2 + (x > y) * 4 + (x >= y) * 8 + (x == y) * 16 + (x != y) * 32", "not x", "not x < y",
    "select(x < y, x, 7)", "select(x < y, x < 5, 0)", "select(x < y, 0, x < 5)", "other(x, y) + other(y, 1)", "CONSTANT * x",
]  # fmt: skip
FLOATS = [
    "x + y", "x - y", "x * y", "x / y", "-x", "x ** y", "x + 1", "2 * x + 0.25", "math.log(y)", "math.sin(x)", "math.cos(x)",
    "math.log1p(y)", "math.expm1(x)", "select(x < y, x, y)", "fabs(x)", "floor(x)", "number(3) * y", "other(x, y)",
]  # fmt: skip
BEGINNING = """
import math

import numpy as np

from minigrad.loops.native.llvm import FUNCTIONS, doubles, select, singles

CONSTANT, number, fabs, floor = 12, np.{kind}, FUNCTIONS["fabs"], FUNCTIONS["floor"]


def other(a, b) -> {kind}:
    return a * 10 + b


"""
BY_PYTHON: dict[str, Any] = {
    "math": math, "CONSTANT": 12, "fabs": abs, "floor": math.floor, "select": lambda condition, a, b: a if condition else b,
    "other": lambda a, b: a * 10 + b,
}  # fmt: skip


@pytest.fixture(autouse=True)
def functions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MINIGRAD_NATIVE_CACHE", str(tmp_path))
    monkeypatch.setattr(build, "functions", {})


def test_integers_and_truth_values_are_pythons() -> None:
    lines = [f"    y{k} = {text}\n    out[{k}] = y{k}\n" for k, text in enumerate(INTEGERS)]
    source = BEGINNING.format(kind="int64").replace("np.int64", "np.float64").replace("doubles", "integers", 1)
    run = built(f"{source}def run(x, y, there):\n    out = integers(there)\n{''.join(lines)}", "a test")
    for x, y in ((3, 8), (8, 3), (5, 5), (0, 1)):
        out = np.zeros(len(INTEGERS), np.int64)
        run(x, y, out.ctypes.data)
        assert out.tolist() == [int(eval(text, BY_PYTHON, {"x": x, "y": y})) for text in INTEGERS]


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_numbers_are_pythons(kind: str) -> None:
    lines = [f"    out[{k}] = {text}\n" for k, text in enumerate(FLOATS)]
    at = {"float32": "singles", "float64": "doubles"}[kind]
    source = f"{BEGINNING.format(kind=kind)}def run(x: {kind}, y: {kind}, there):\n    out = {at}(there)\n{''.join(lines)}"
    run = built(source, "a test")
    for x, y in ((0.5, 1.25), (1.5, 0.75), (2.0, 2.0)):
        out = np.zeros(len(FLOATS), kind)
        run(x, y, out.ctypes.data)
        expected = [eval(text, {**BY_PYTHON, "number": float}, {"x": x, "y": y}) for text in FLOATS]
        np.testing.assert_allclose(out, expected, 4 * np.finfo(kind).eps)


SIGNS = ("<", "<=", ">", ">=", "==", "!=")


PAIRS = [(1.0, math.nan), (math.nan, 1.0), (math.nan, math.nan), (-0.0, 0.0), (math.inf, math.inf)]


@pytest.mark.parametrize(("x", "y"), PAIRS)
def test_a_nan_is_unequal_to_all_and_zeros_are_equal(x: float, y: float) -> None:
    lines = [f"    out[{k}] = x {sign} y\n" for k, sign in enumerate(SIGNS)]
    beginning = "from minigrad.loops.native.llvm import integers\n\n"
    source = f"{beginning}def run(x: float64, y: float64, there):\n    out = integers(there)\n{''.join(lines)}"
    out = np.zeros(len(SIGNS), np.int64)
    built(source, "a test")(x, y, out.ctypes.data)
    assert out.tolist() == [eval(f"x {sign} y", {"x": x, "y": y}) for sign in SIGNS]


LOOPS = """
from minigrad.loops.native.llvm import bits, integers

def run(there, flags, n) -> int64:
    out, marks = integers(there), bits(flags)
    total, last = 0, 0
    for i in range(n):
        for j in range(i, n, 2):
            out[i * n + j] += i * 100 + j
            if marks[j]:
                total += out[i * n + j]
            elif j > 3:
                last = j
        marks[i] = i > 2
    a, b = total, last
    total, last = b, a
    if n > 5:
        return -1
    return last * 1000 + total
"""


def by_python(out: list[int], marks: list[bool], n: int) -> int:
    namespace: dict[str, Any] = {"integers": lambda there: there, "bits": lambda there: there}
    exec(LOOPS.partition("llvm import bits, integers\n")[2].replace(" -> int64", ""), namespace)
    return int(namespace["run"](out, marks, n))


@pytest.mark.parametrize("n", [0, 1, 5, 6])
def test_loops_branches_and_variables_are_pythons(n: int) -> None:
    out, marks = np.arange(n * n), np.array([k % 2 == 0 for k in range(n)], bool)
    expected_out, expected_marks = out.tolist(), marks.tolist()
    expected = by_python(expected_out, expected_marks, n)
    assert built(LOOPS, "a test")(out.ctypes.data, marks.ctypes.data, n) == expected
    assert (out.tolist(), marks.tolist()) == (expected_out, expected_marks)


def test_a_name_that_is_of_one_kind_and_then_of_another_is_refused() -> None:
    with pytest.raises(CannotCompile, match="y is of one kind and then of another in native code"):
        built("def run(x) -> int64:\n    y = x < 1\n    y = x\n    return y\n", "a test")


def test_other_threads_run_beside_it_and_other_code_calls_it_by_its_address() -> None:
    run = built("def run(x) -> int64:\n    return x + 1\n", "a test")
    assert isinstance(run, ctypes._CFuncPtr)  # which lets go of the interpreter, as PyDLL's does not
    assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(run.address)(4) == 5
