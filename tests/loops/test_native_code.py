"""What becomes of a loop that has no native form, of the cache, and of an interrupt."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from natively import natively, why_not
from numba.core.bytecode import FunctionIdentity

import minigrad as mg
from minigrad import Tensor, scan
from minigrad.loops.native import blas, build, gemm, lower, rows, run
from minigrad.loops.native.build import built
from minigrad.loops.program import CannotCompile

ZERO = np.zeros((2, 3))
XS = np.ones((4, 2, 3))


def unlike(h: Tensor, x: Tensor) -> tuple[Tensor, None]:
    """A step with a structure that no other test has."""
    return mg.tanh(h * 0.25 - x) * h, None


# ---------------------------------------------------------------- what has no native form


WITHOUT: dict[str, tuple[Callable[..., Any], Any, Any, str]] = {
    "float16": (lambda h, x: (h + x, None), ZERO.astype("e"), XS.astype("e"), "float32 or float64"),
    "an operation": (lambda h, x: (mg.softmax(h + x, axis=1), None), ZERO, XS, "'softmax' has no formula"),
    "three axes": (lambda h, x: (h + x, None), np.zeros((2, 3, 4)), np.ones((4, 2, 3, 4)), "for values of shape"),
    "a matrix that is computed": (lambda h, x: (h + h @ x, None), np.zeros((3, 3)), np.ones((4, 3, 3)), "'matmul'"),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_what_has_no_native_form_is_run_by_numpy_and_explain_loop_says_so(name: str) -> None:
    step, start, xs, reason = WITHOUT[name]
    found = why_not(scan, step, start, xs)
    assert found is not None
    assert reason in found
    with natively():
        text = str(mg.explain_loop(scan, step, start, xs)[0])
        native = scan(step, start, xs)[0].numpy()
    assert f"NumPy calls a step; not native code, because {found}" in text
    np.testing.assert_array_equal(native, scan(step, start, xs)[0].numpy())


def chain(h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """A step of very many operations, one after the other."""
    for _ in range(400):
        h = mg.tanh(h * 0.9 + x)
    return h, h


def test_a_step_of_very_many_operations_is_left_to_numpy_since_compiling_takes_too_long() -> None:
    found = why_not(scan, chain, ZERO, XS * 0.1)
    assert found is not None
    assert re.fullmatch("its step has [0-9]+ instructions in a row, which take too long to compile", found)


def test_lowering_a_step_of_very_many_operations_does_not_exceed_pythons_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    sources: list[str] = []

    def noted(source: str, what: str) -> Any:
        sources.append(source)
        raise CannotCompile("only noted")

    monkeypatch.setattr(run, "built", noted)
    monkeypatch.setattr(lower, "MOST", 10_000)
    with natively():
        xs = Tensor(XS * 0.1, requires_grad=True)
        scan(chain, ZERO, xs)[1].sum().backward()
    assert [source.count("tanh(v") for source in sources] == [400, 0]


def test_explain_loop_says_that_native_code_ran_and_why_not_where_a_number_overflows() -> None:
    with natively():
        assert str(mg.explain_loop(scan, unlike, ZERO, XS)[0]) == "scan, T = 4: compiled to native code"
        (report,) = mg.explain_loop(scan, lambda h, x: (mg.where(h > x, h, x * 0.75), None), ZERO, XS * np.nan)
    assert report.native == "numbers overflow or are not defined"


def test_without_flags_loops_are_run_by_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "flags", lambda: None)
    weight = Tensor(np.ones((3, 3)) / 9)
    found = why_not(scan, lambda h, x: (mg.tanh(h @ weight + x * 0.3), None), ZERO, XS)
    assert found is not None
    assert "flags" in found


def test_without_a_blas_all_products_are_done_with_packed_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "found", lambda *_: None)
    weight = Tensor(np.random.default_rng(0).standard_normal((3, 3)))

    def step(h: Tensor, x: Tensor) -> tuple[Tensor, None]:
        return mg.tanh(h @ weight + x * 0.1), None

    expected = scan(step, ZERO, XS)[0].numpy()
    with natively():
        (report,) = mg.explain_loop(scan, step, ZERO, XS)
        found = scan(step, ZERO, XS)[0].numpy()
    assert report.native == ""
    np.testing.assert_allclose(found, expected, 1e-12)


# ---------------------------------------------------------------- the cache


SOURCE = """
from numba import njit

@njit("int64(int64)", cache=CACHED)
@named
def run(x):
    return x + {}
"""


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("MINIGRAD_NATIVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "functions", {})
    return tmp_path / "cache"


def test_what_was_compiled_is_kept_and_found_again(cache: Path) -> None:
    assert built(SOURCE.format(1), "a test")(2) == 3
    kept = sorted(path.name for path in (cache / "__pycache__").iterdir())
    assert kept
    build.functions.clear()
    assert built(SOURCE.format(1), "a test")(2) == 3
    assert sorted(path.name for path in (cache / "__pycache__").iterdir()) == kept
    assert built(SOURCE.format(5), "a test")(2) == 7


RECURSIVE = """
from numba import njit

@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
@named
def inner(x):
    return inner(x - 1) + {0} if x > 1 else {0}

@njit("int64(int64)", cache=CACHED)
@named
def run(x):
    return inner(x)
"""


def test_code_that_was_compiled_in_several_processes_calls_its_own_functions(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 5):
        monkeypatch.setattr(FunctionIdentity, "_unique_ids", itertools.count(10**9))  # each process counts anew
        assert built(RECURSIVE.format(number), "a test")(3) == 3 * number


def test_every_function_of_generated_code_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = [rows.SOURCE, gemm.PACK, gemm.MULTIPLY]

    def looked_at(code: str, what: str) -> Any:
        codes.append(code)
        raise CannotCompile("it is only looked at")

    monkeypatch.setattr(run, "built", looked_at)
    with natively():
        scan(lambda h, x: (mg.tanh(h * 0.125 - x @ np.eye(3)) * h, None), ZERO, XS)
    assert len(codes) > 3
    for code in codes:
        assert code.count("\ndef ") == code.count("\n@named\ndef ") > 0


def test_a_damaged_cache_is_passed_over(cache: Path) -> None:
    assert built(SOURCE.format(2), "a test")(2) == 4
    for path in (cache / "__pycache__").iterdir():
        path.write_bytes(b"damaged")
    build.functions.clear()
    assert built(SOURCE.format(2), "a test")(2) == 4


def test_where_the_folder_cannot_be_made_code_is_compiled_in_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MINIGRAD_NATIVE_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(build, "functions", {})
    assert built(SOURCE.format(3), "a test")(2) == 5


def test_the_folder_is_the_users_folder_for_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MINIGRAD_NATIVE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert build._folder() == tmp_path / "minigrad" / "native"


def test_where_the_user_has_no_folder_code_is_compiled_in_memory(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MINIGRAD_NATIVE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert built(SOURCE.format(8), "a test")(2) == 10
    assert not cache.exists()


def test_where_numba_is_switched_off_or_cannot_compile_the_reason_is_said(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotCompile, match=r"numba cannot compile it: TypingError: Failed in nopython mode"):
        built(SOURCE.format("nothing") + "nothing", "a test")
    monkeypatch.setattr("numba.njit", lambda *_, **__: lambda function: function)
    with pytest.raises(CannotCompile, match="NUMBA_DISABLE_JIT"):
        built(SOURCE.format(6), "a test")
    assert cache.exists()


@pytest.mark.usefixtures("cache")
def test_compiling_that_takes_long_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(build, "LONG", 0.0)
    built(SOURCE.format(4), "a test")
    assert capsys.readouterr().err.startswith("minigrad: compiling a test (kept in ")


# ---------------------------------------------------------------- an interrupt


def test_python_can_hear_an_interrupt_after_every_sixty_four_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []

    def watched(source: str, what: str) -> Any:
        function = built(source, what)

        def run(arrays: int, start: int, stop: int, *more: int) -> Any:
            if start:
                raise KeyboardInterrupt
            calls.append((start, stop))
            return function(arrays, start, stop, *more)

        return run

    monkeypatch.setattr("minigrad.loops.native.run.built", watched)
    with natively(), pytest.raises(KeyboardInterrupt):
        scan(lambda h, x: (mg.tanh(h * 0.125 - x), None), ZERO[0], np.ones((100, 3)))
    assert calls == [(0, 64)]
