"""What the engine says to the mistakes that people make most: each message names what to do."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor, compare_gradients, gradcheck
from minigrad.checks.finite_differences import numerical_gradient, numerical_gradients
from minigrad.errors import ArgumentError, ConversionError, DTypeError, GradientMismatchError, GraphError, MissingPackageError
from minigrad.extras import optional_package


def test_grad_of_a_function_points_to_the_transforms() -> None:
    with pytest.raises(DTypeError, match=r"grad: .* got a function\. .* pullback = vjp\(f, x\).* jacobian.*hvp\(f, x, v\)$"):
        mg.grad(lambda x: x * x)  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match="got a function"):
        mg.grad(np.tanh, Tensor([1.0], requires_grad=True))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"grad: expected the inputs .* as in grad\(loss, \[W, b\]\)"):
        mg.grad(Tensor([1.0], requires_grad=True) * 2.0)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"W": None}, "mine: the gradient of W is None: no backward pass has reached it. Call backward"),
        ({"cell": {"W": None}}, r"the gradient of cell\.W is None"),
        ([np.ones(2), None], "the gradient of 1 is None"),
        (None, "mine: the gradient is None"),
    ],
)
def test_a_gradient_that_is_none_has_not_been_computed_yet(source: Any, words: str) -> None:
    with pytest.raises(GraphError, match=words):
        compare_gradients(source, source, names=("mine", "yours"))
    with pytest.raises(GraphError, match=words.replace("mine", "yours")):
        compare_gradients({"W": np.ones(2)}, source, names=("mine", "yours"))


def test_keys_that_differ_are_named_as_they_are() -> None:
    with pytest.raises(ArgumentError) as caught:
        compare_gradients({"W": np.ones(2), "b": np.ones(2)}, {"W": np.ones(2), "b_h": np.ones(2)}, names=("paper", "mine"))
    said = "mine: expected a dict with the keys W, b, got a dict with the keys W, b_h; missing: b; unknown: b_h"
    assert str(caught.value) == f"compare_gradients: {said}"


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_result_says_how_it_is_copied_or_plotted(duplicate: Any) -> None:
    y = Tensor([1.0, 2.0], requires_grad=True)[:1]
    with pytest.raises(GraphError, match=r"\(of 'getitem'\) cannot be copied, .* \.detach\(\) .* \.numpy\(\)"):
        duplicate(y)


def wrong_slope(x: Tensor) -> Tensor:
    """x², said to have the slope x."""
    return mg.Function(lambda x: (x**2, x), lambda g, x: g * x)(x)


def test_a_scalars_check_says_its_own_numbers() -> None:
    with pytest.raises(GradientMismatchError) as caught:
        gradcheck(wrong_slope, Tensor(3.0, requires_grad=True))
    said = str(caught.value)
    assert "autograd says 3.0 (analytical)" in said
    assert "central differences say 6.000000000" in said or "central differences say 5.999999999" in said
    assert "random" not in said


def test_where_there_are_several_outputs_it_is_said_how_to_see_them_one_by_one() -> None:
    x = Tensor([3.0, 4.0], requires_grad=True)
    with pytest.raises(GradientMismatchError, match=r"weighted with random numbers \(full=True compares them one by one\)"):
        gradcheck(wrong_slope, x)
    with pytest.raises(GradientMismatchError, match=r"entry \(1,\)\) / .*entry \(1,\)\): autograd says 4\.0"):
        gradcheck(wrong_slope, x, full=True)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([1, 3]), "the array is int64; finite differences need float64"),
        (np.array([1, 3], np.float32), "the array is float32; finite differences need float64"),
        ([1.0, 3.0], "expected the array to be a NumPy array, got list"),
    ],
)
def test_differences_of_anything_but_float64_are_refused(array: Any, words: str) -> None:
    with pytest.raises(DTypeError, match=f"numerical_gradient: {words}"):
        numerical_gradient(lambda: float((np.asarray(array) ** 2).sum()), array)
    with pytest.raises(DTypeError, match="finite differences need float64"):
        numerical_gradients(lambda: 0.0, {"W": Tensor([1.0], dtype=np.float32)})


def test_a_row_written_into_an_array_says_collect_and_stack() -> None:
    out, h = np.zeros((2, 3)), Tensor(np.ones(3), requires_grad=True) * 2.0
    with pytest.raises(ConversionError, match=r"out\[t\] = h, collect the h in a list and use minigrad\.stack\(list\)"):
        out[0] = h
    assert not out.any()


def test_a_missing_package_is_named_with_the_command_that_brings_it() -> None:
    with pytest.raises(MissingPackageError) as caught:
        optional_package("no_such.module", "plots", "a plot", "save the numbers")
    said = "a plot needs no_such, which is not installed: pip install 'minigrad-bptt[plots]', or save the numbers"
    assert str(caught.value) == said
    assert isinstance(caught.value, ImportError)
    assert optional_package("json", "plots", "a plot").loads("1") == 1


@pytest.mark.parametrize("problem", ["raise ImportError('Numba needs NumPy 2.3 or less. Got NumPy 2.4.')", "import not_there"])
def test_an_extra_that_is_installed_and_cannot_be_imported_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    (tmp_path / "broken_extra.py").write_text(problem)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingPackageError, match=r"installed and cannot be imported \((Numba needs|No module)") as caught:
        optional_package("broken_extra", "plots", "a plot", "save the numbers")
    assert str(caught.value).endswith("pip install --upgrade 'minigrad-bptt[plots]', or save the numbers")
