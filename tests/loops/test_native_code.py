"""What becomes of a loop that has no native form, of the cache, and of an interrupt."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from natively import natively, why_not

import minigrad as mg
from minigrad import Tensor, scan
from minigrad.loops.native import blas, build, lower, run
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
def run(x) -> int64:
    return x + {}
"""


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("MINIGRAD_NATIVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "functions", {})
    return tmp_path / "cache"


def test_what_was_compiled_is_kept_and_found_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert built(SOURCE.format(1), "a test")(2) == 3
    kept = sorted(path.name for path in cache.iterdir())
    assert len(kept) == 1
    build.functions.clear()
    with monkeypatch.context() as patch:
        patch.setattr(build, "module_of", lambda _: pytest.fail("it is compiled again"))
        assert built(SOURCE.format(1), "a test")(2) == 3
    assert built(SOURCE.format(5), "a test")(2) == 7
    assert len([*cache.iterdir()]) == 2


INNER = """
def inner(x) -> int64:
    return x * {0}

def run(x) -> int64:
    return inner(x)
"""


@pytest.mark.usefixtures("cache")
def test_codes_whose_functions_have_the_same_names_call_their_own() -> None:
    for _ in range(2):
        first, second = (built(INNER.format(number), "a test") for number in (2, 5))
        assert (first(3), second(3), first(4)) == (6, 15, 8)
        build.functions.clear()


@pytest.mark.parametrize("damage", [lambda _: b"damaged", lambda code: code[:-9], lambda code: code[:-1] + b"!", lambda _: b""])
def test_a_damaged_cache_is_passed_over(cache: Path, damage: Callable[[bytes], bytes]) -> None:
    assert built(SOURCE.format(2), "a test")(2) == 4
    (path,) = cache.iterdir()
    kept = path.read_bytes()
    path.write_bytes(damage(kept))
    build.functions.clear()
    assert built(SOURCE.format(2), "a test")(2) == 4
    assert path.read_bytes() == kept


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


ONCE = """
def run(x) -> int64:
    for k in range(x):
        y = k + 1
    return y
"""


def test_where_there_is_no_native_code_the_reason_is_said(cache: Path) -> None:
    with pytest.raises(CannotCompile, match="nothing has no value in native code"):
        built(SOURCE.format("nothing"), "a test")
    with pytest.raises(CannotCompile, match=r"'lambda: 1' has no meaning in native code"):
        built(SOURCE.format("(lambda: 1)"), "a test")
    with pytest.raises(CannotCompile, match=r"'while x:\\n.*' has no meaning in native code"):
        built("def run(x) -> int64:\n    while x:\n        pass\n", "a test")
    with pytest.raises(CannotCompile, match="LLVM cannot compile it: RuntimeError: Instruction does not dominate all uses"):
        built(ONCE, "a test")
    assert not [*cache.iterdir()]


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
