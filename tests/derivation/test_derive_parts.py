"""The parts that a derivation is made with: the algebra, the names, and the observer of a step's variables."""

import functools
import sys
from typing import Any

import numpy as np
import pytest
from minigrad.models import GRU

import minigrad as mg
from minigrad import derive
from minigrad.derivation.algebra import add, call, divide, multiply, negative, power, subtract
from minigrad.derivation.arrays import matmul, transpose
from minigrad.derivation.expression import Symbol, atom, number
from minigrad.derivation.observing import Observer
from minigrad.derivation.writing import AS_CODED, Text

a, b, c, g = (atom(Symbol(name, 0), (2, 3)) for name in "abcg")
W = atom(Symbol("W"), (3, 3))


def text(formula: Any) -> str:
    return Text(AS_CODED).write(formula)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (subtract(g, multiply(multiply(g, a), a)), "gₜ ⊙ (1 − aₜ²)"),
        (subtract(multiply(g, a), multiply(g, a, a)), "gₜ ⊙ aₜ ⊙ (1 − aₜ)"),
        (add(multiply(g, a), negative(multiply(g, b))), "gₜ ⊙ (aₜ − bₜ)"),
        (add(multiply(g, a), multiply(c, b)), "gₜ ⊙ aₜ + cₜ ⊙ bₜ"),
        (multiply(number(1), a), "aₜ"),
        (multiply(number(-1), a), "−aₜ"),
        (multiply(number(2), a, number(0.5)), "aₜ"),
        (negative(negative(a)), "aₜ"),
        (add(a, number(0)), "aₜ"),
        (add(a, a), "2 aₜ"),
        (add(a, b, negative(a)), "bₜ"),
        (add(negative(a), b), "bₜ − aₜ"),
        (add(a, number(-0.5)), "aₜ − 0.5"),
        (subtract(number(1), a), "1 − aₜ"),
        (subtract(a, subtract(b, c)), "aₜ − bₜ + cₜ"),
        (multiply(a, power(a, number(2))), "aₜ³"),
        (multiply(add(a, b), c), "(aₜ + bₜ) ⊙ cₜ"),
        (divide(a, number(1)), "aₜ"),
        (divide(add(a, b), c), "(aₜ + bₜ) / cₜ"),
        (divide(divide(a, b), c), "aₜ / (bₜ ⊙ cₜ)"),
        (multiply(number(2), divide(a, multiply(number(2), b))), "aₜ / bₜ"),
        (add(divide(multiply(g, a), b), multiply(g, c)), "gₜ ⊙ (aₜ / bₜ + cₜ)"),
        (add(divide(g, b), negative(divide(multiply(g, a), b))), "(gₜ ⊙ (1 − aₜ)) / bₜ"),
        (transpose(transpose(W)), "W"),
        (matmul(multiply(a, b), transpose(W), (2, 3)), "(aₜ ⊙ bₜ) Wᵀ"),
        (negative(add(a, b)), "−(aₜ + bₜ)"),
        (call("logical_not", call("less_equal", a, b)), "aₜ > bₜ"),
        (subtract(multiply(g, call("greater", a, number(0))), multiply(g, call("less", a, number(0)))), "gₜ ⊙ sign(aₜ)"),
    ],
)
def test_formulas_are_simplified_as_a_person_would(formula: Any, expected: str) -> None:
    assert text(formula) == expected


def test_a_stretching_is_left_away_where_other_terms_or_factors_do_it() -> None:
    column = atom(Symbol("k", 0), (2, 1))
    wide = call("broadcast_to", column, shape=(2, 3))
    assert add(wide, a) == add(column, a)
    assert multiply(wide, a) == multiply(column, a)
    assert multiply(number(2), wide).shape == (2, 3)
    assert wide in multiply(number(2), wide).args
    assert add(wide, negative(call("broadcast_to", atom(Symbol("m", 0), (2, 1)), shape=(2, 3)))).shape == (2, 3)


def test_terms_that_cancel_leave_zeros_of_their_shape() -> None:
    assert subtract(a, a).shape == (2, 3)
    assert multiply(subtract(a, a), b) == subtract(b, b)
    assert add(subtract(a, a), b) == b


def test_masks_are_multiplied_but_not_subtracted() -> None:
    difference = subtract(multiply(g, call("greater", a, b)), multiply(g, call("equal", a, c)))
    assert text(difference) == "gₜ ⊙ (aₜ > bₜ) − gₜ ⊙ (aₜ = cₜ)"


# ---------------------------------------------------------------- the observer


def cell_of(step: Any) -> Any:
    return type("Cell", (), {"step": staticmethod(step), "initial_state": staticmethod(lambda batch: np.zeros((batch, 3)))})()


def test_who_traced_before_traces_again_afterwards_also_after_an_error() -> None:
    def tracer(frame: Any, event: str, argument: Any) -> Any:
        return None

    found = sys.gettrace()
    sys.settrace(tracer)
    try:
        derive(lambda h, x: mg.tanh(h), np.ones(3), np.zeros(3))
        assert sys.gettrace() is tracer
        with pytest.raises(mg.errors.GraphError, match="not the same program"):
            derive(lambda h, x: mg.tanh(h) * h.item(), np.ones(1), np.zeros(1))
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(found)


def test_the_first_name_of_a_value_counts_and_named_goes_before_it() -> None:
    def step(h: Any, x: Any) -> Any:
        first = h * x
        second = first
        third = mg.tanh(second).named("gate")
        return third * h

    lines = derive(step, np.ones(3), np.ones(3)).text_of("forward")
    assert [line.split(" = ")[0].strip() for line in lines] == ["firstₜ", "gateₜ", "hₜ"]


def test_functions_that_a_step_calls_name_nothing() -> None:
    def squashed(inner: Any) -> Any:
        outer = inner * 2
        return mg.tanh(outer)

    text = str(derive(lambda h, x: squashed(h + x), np.ones(3), np.ones(3)))
    assert "inner" not in text
    assert "outer" not in text


@pytest.mark.parametrize(
    "wrap",
    [lambda f: f, lambda f: functools.partial(f, scale=2.0), lambda f: Callable(f)],
    ids=["function", "partial", "callable"],
)
def test_functions_partial_functions_and_callable_objects_are_observed(wrap: Any) -> None:
    def step(h: Any, x: Any, scale: float = 2.0) -> Any:
        gate = mg.sigmoid(h * scale + x)
        return gate * h

    assert "gateₜ" in str(derive(wrap(step), np.ones(3), np.ones(3)))


class Callable:
    """An object that is called."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, h: Any, x: Any) -> Any:
        gate = mg.sigmoid(h * 2.0 + x)
        return gate * h


def test_cells_of_minigrad_name_their_values_themselves() -> None:
    assert Observer(GRU(3, 4)).code is None
    assert Observer(cell_of(lambda x, h: h)).code is not None
