"""What is taken out of the loop of a backward pass changes no number, and as much as can be is taken out of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from loops_formulas import CASES, assert_right, every_case, line_by_line, program_of, weights

from minigrad import Tensor, minimum, scan, sigmoid, stack, tanh, where
from minigrad.loops.differentiate import Derivative
from minigrad.loops.program import CARRY, LOCAL, Program
from minigrad.loops.simplify import simplified

Linear = Callable[..., list[Tensor]]
B, N = 2, 3
SHAPES = ((B, N), (B, N), (B, N))


class Found:
    """What is left of linear formulas (g, f, a, b, c, one) ↦ results; g and f arrive, a, b and c are known beforehand."""

    def __init__(self, formula: Linear, shapes: tuple[tuple[int, ...], ...] = SHAPES, of_g: tuple[int, ...] = (B, N)) -> None:
        self.rows = [weights(*s, seed=k) for k, s in enumerate(shapes)]
        self.states = [weights(*of_g, seed=8), weights(*of_g, seed=9)]
        traced, self.consts = program_of(lambda rows, states: formula(*states, *rows, 1.0), self.rows, self.states)
        given = Program(traced.xs, traced.carry, traced.consts, traced.lines, (), traced.new_carry)
        self.expected = self.values_of(given)
        self.program = simplified(Derivative(given, (), (0, 1), (), (), frozenset(), (), (), {})).program

    def values_of(self, program: Program) -> list[np.ndarray]:
        """The results of a program."""
        values = line_by_line(program, self.rows, self.states, self.consts)
        return [np.broadcast_to(values[ref.number], program.value(ref).shape) for ref in program.ys]

    def values(self) -> list[np.ndarray]:
        """The results, computed by what is left."""
        return self.values_of(self.program)

    def in_loop(self) -> list[str]:
        """The operations that have to wait for what arrives."""
        waits: list[bool] = []
        for line in self.program.lines:
            waits.append(any(kind == CARRY or (kind == LOCAL and waits[number]) for kind, number in line.operands))
        return [line.op.label for line, is_waiting in zip(self.program.lines, waits, strict=True) if is_waiting]


IDENTITIES: dict[str, tuple[Linear, list[str]]] = {
    "g ⊙ a": (lambda g, f, a, b, c, one: [g * a], ["mul"]),
    "(g ⊙ a) ⊙ b": (lambda g, f, a, b, c, one: [g * a * b], ["mul"]),
    "c ⊙ (b ⊙ (g ⊙ a))": (lambda g, f, a, b, c, one: [c * (b * (g * a))], ["mul"]),
    "g ⊙ a + g ⊙ b": (lambda g, f, a, b, c, one: [g * a + b * g], ["mul"]),
    "g ⊙ a − g ⊙ b": (lambda g, f, a, b, c, one: [g * a - g * b], ["mul"]),
    "−(g ⊙ a)": (lambda g, f, a, b, c, one: [-(g * a)], ["mul"]),
    "−(g ⊙ a) ⊙ b − g ⊙ c": (lambda g, f, a, b, c, one: [-(g * a) * b - g * c], ["mul"]),
    "g ⊙ a + f ⊙ b": (lambda g, f, a, b, c, one: [g * a + f * b], ["mul", "mul", "add"]),
    "g ⊙ a − f ⊙ a": (lambda g, f, a, b, c, one: [g * a - f * a], ["mul", "mul", "sub"]),
    "(g − f) ⊙ a ⊙ b": (lambda g, f, a, b, c, one: [(g - f) * a * b], ["sub", "mul"]),
    "g ⊙ a and f ⊙ (g ⊙ a's factor)": (lambda g, f, a, b, c, one: [g * a, g * a * b, f * a], ["mul"] * 3),
    "g + (−f)": (lambda g, f, a, b, c, one: [g + (-f)], ["sub"]),
    "(−g) + f": (lambda g, f, a, b, c, one: [(-g) + f], ["sub"]),
    "−g": (lambda g, f, a, b, c, one: [-g], ["neg"]),
    "(−g) + (−f)": (lambda g, f, a, b, c, one: [(-g) + (-f)], ["neg", "sub"]),
    "(−g) ⊙ a": (lambda g, f, a, b, c, one: [(-g) * a], ["neg", "mul"]),
    "−g, needed by itself too": (lambda g, f, a, b, c, one: [-g, f + (-g)], ["sub", "neg"]),
    "x − (−y)": (lambda g, f, a, b, c, one: [g - (-f)], ["neg", "sub"]),
    "a + g ⊙ b": (lambda g, f, a, b, c, one: [a + g * b], ["mul", "add"]),
    "where(m, g, 0) ⊙ a": (lambda g, f, a, b, c, one: [(where(c > 0, g, 0.0) * a) @ b.T], ["mul", "matmul"]),
    "where(m, g ⊙ a, 0)": (lambda g, f, a, b, c, one: [where(c > 0, g * a, 0.0) @ b.T], ["mul", "matmul"]),
    "where(m, 0, g) + f": (lambda g, f, a, b, c, one: [(where(c > 0, 0.0, g) + f) @ b.T], ["mul", "add", "matmul"]),
    "where(m, 0, g) + a product": (
        lambda g, f, a, b, c, one: [where(c > 0, 0.0, g) + (f @ b.T) @ a], ["mul", "matmul", "matmul", "add"],
    ),
    "where(m, g, 0), whose zeros are seen": (lambda g, f, a, b, c, one: [where(c > 0, g, 0.0) * a], ["where", "mul"]),
    "where(m, g, 0) where m depends on what arrives": (
        lambda g, f, a, b, c, one: [where(f > 0, g, 0.0) @ b.T], ["flat", "where", "matmul"],
    ),
    "what one mask selects": (
        lambda g, f, a, b, c, one: [((where(m, g, 0.0) + where(m, a, 0.0)) * b) @ a.T for m in [c > 0]],
        ["add", "mul", "matmul"],
    ),
    "what a mask and its opposite select": (
        lambda g, f, a, b, c, one: [((where(m, g, 0.0) + where(m, 0.0, a)) * b) @ a.T for m in [c > 0]],
        ["mul", "add", "mul", "matmul"],
    ),
    "g ⊙ a + g": (lambda g, f, a, b, c, one: [g * a + g], ["mul", "add"]),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_an_identity_changes_no_number_and_leaves_the_fewest_operations_in_the_loop(name: str) -> None:
    formula, left = IDENTITIES[name]
    one = Found(formula)
    for value, expected in zip(one.values(), one.expected, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-14, atol=1e-15)
    assert sorted(one.in_loop()) == sorted(left)


def test_a_factor_1_of_what_is_known_is_left_out() -> None:
    for formula in (lambda g, f, a, b, c, one: [g * (one * (a + b))], lambda g, f, a, b, c, one: [g * ((a + b) * one)]):
        one = Found(formula)
        np.testing.assert_allclose(*one.values(), *one.expected, rtol=1e-14)
        assert [line.op.label for line in one.program.lines] == ["add", "mul"]


def test_sums_and_differences_of_unequal_shapes_are_left_as_they_are() -> None:
    def formula(g: Tensor, f: Tensor, a: Tensor, b: Tensor, c: Tensor, one: float) -> list[Tensor]:
        return [g * a + g * b, g * b - g * a, -(g * a) + b, (g + f) * b]

    kept = Found(formula, ((B, 1), (B, N), (B, N)), (B, 1))
    for value, expected in zip(kept.values(), kept.expected, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-14, atol=1e-15)
    assert sorted(kept.in_loop()) == ["add"] * 3 + ["mul"] * 6 + ["sub"]


@pytest.mark.parametrize("seed", range(40))
def test_no_linear_formula_changes_a_number(seed: int) -> None:
    def formula(g: Tensor, f: Tensor, a: Tensor, b: Tensor, c: Tensor, one: float) -> list[Tensor]:
        choose = np.random.default_rng(seed)
        linear, factors = [g, f], [a, b, c, one]
        for _ in range(choose.integers(2, 14)):
            x, y = (linear[choose.integers(max(0, len(linear) - 5), len(linear))] for _ in range(2))
            factor = factors[choose.integers(len(factors))]
            linear.append([x * factor, factor * x, x + y, x - y, -x][choose.integers(5)])
            factors.append([factor * a, b - factor, -factor, factor + c][choose.integers(4)])
        return linear[2:][-3:]

    one = Found(formula)
    for value, expected in zip(one.values(), one.expected, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-13)


FORMULAS: dict[str, Callable[..., Any]] = {
    "a factor shared by two products": lambda k, x, h: (u := sigmoid(x @ k.A.T + h @ k.P.T)) * h + u * tanh(x @ k.C.T),
    "a product used twice": lambda k, x, h: tanh(p := h * sigmoid(h @ k.P.T + x @ k.A.T)) * p,
    "a sum of two curves of one argument": lambda k, x, h: tanh(z := x @ k.A.T + h @ k.P.T) + sigmoid(z),
    "a difference of two curves of one argument": lambda k, x, h: tanh(z := x @ k.A.T + h @ k.P.T) - sigmoid(z),
    "a product taken from another": lambda k, x, h: tanh(x @ k.A.T) * h - sigmoid(z := h @ k.P.T) * tanh(z),
    "the negative of a negative": lambda k, x, h: -tanh(-(h @ k.P.T) - x @ k.A.T),
    "one minus a gate": lambda k, x, h: (1.0 - (u := sigmoid(x @ k.A.T + h @ k.P.T))) * h + u * tanh(x @ k.C.T),
    "constants that are stretched": lambda k, x, h: tanh((h @ k.P.T) * k.w + x @ k.A.T) * k.w - k.w * h,
    "a number times": lambda k, x, h: 0.5 * h + tanh(0.25 * (x @ k.A.T) + h @ k.P.T) * 1.0,
    "the old state taken over": lambda k, x, h: h + tanh(x @ k.A.T + h @ k.P.T),
    "the old state taken away": lambda k, x, h: tanh(x @ k.A.T + h @ k.P.T) - h,
    "the smaller of two": lambda k, x, h: minimum(tanh(x @ k.A.T), h @ k.P.T) - 0.5 * h,
    "a square": lambda k, x, h: (z := tanh(x @ k.A.T + h @ k.P.T)) * z * h,
    "factors in a row": lambda k, x, h: tanh((g := [sigmoid(z) for z in k.gates(x, h)])[0] * g[1] * g[2] * g[3] * h),
    "a difference of differences": lambda k, x, h: tanh((p := x @ k.A.T + h @ k.P.T) - (q := p * h) - (q - p)),
}


@every_case
@pytest.mark.parametrize("name", FORMULAS)
def test_a_loop_whose_backward_pass_is_simplified_has_the_gradients_of_its_steps(name: str, case: Any) -> None:
    assert_right(FORMULAS[name], case)


@pytest.mark.parametrize("case", CASES[:4])
def test_gradients_of_two_parts_of_a_state_are_not_taken_for_each_other(case: Any) -> None:
    def two(k: Any, x: Tensor, c: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        u = sigmoid(x @ k.A.T + h @ k.P.T)
        c = u * c - u * h
        return c, u * tanh(c) - c * h

    assert_right(two, case, ("c", "h"))


OF_FACTORS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "a product": lambda h, x, c: tanh(h) * x * c,
    "a difference": lambda h, x, c: tanh(h) * x * c - tanh(h) * (x * 2.0) * c,
    "a product of numbers": lambda h, x, c: tanh(h) * x * float(np.sqrt(c)) * float(np.sqrt(c)),
}


def test_where_factors_are_large_the_loop_is_run_as_it_was_derived_and_no_single_step_is_written_out() -> None:
    start = Tensor(np.full(2, 0.5, np.float32), requires_grad=True)
    step = partial(OF_FACTORS["a product of numbers"], c=1e8)
    _, ys = scan(lambda h, x: ((y := step(h, x)), y), start, np.full((4, 2), 1e-8, np.float32))
    (loop,) = ys._node.sources
    ys.sum().backward()
    assert start.grad is not None
    assert loop.written is None


@pytest.mark.parametrize(
    ("dtype", "x", "c", "scale"),
    [
        (np.float16, 1e-3, 300.0, 1e3),
        (np.float32, 1e-30, 1e18, 1e30),
        (np.float32, 1e18, 1e-18, 1e-30),
        (np.float32, 1e30, 1e-30, 1e-30),
        (np.float32, 1e-30, 1e-30, 1e30),
        (np.float32, 1e-6, 250_000.0, 1e34),
        (np.float64, 1e-160, 1e160, 1e300),
    ],
)
@pytest.mark.parametrize("kind", OF_FACTORS)
def test_where_one_factor_after_the_other_overflows_or_underflows_so_does_the_loop(
    dtype: Any, x: float, c: float, scale: float, kind: str
) -> None:
    def step(h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        new = OF_FACTORS[kind](h, x, c)
        return new, new

    def run(loop: Callable[..., Any]) -> tuple[Any, list[str]]:
        start = Tensor(np.full(2, 0.5, dtype), requires_grad=True)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            (loop(step, start, np.full((4, 2), x, dtype))[1] * dtype(scale)).sum().backward()
        return start.grad, sorted({str(warning.message) for warning in caught})

    def plainly(f: Any, carry: Tensor, xs: Any) -> tuple[Tensor, Tensor]:
        ys = []
        for x in xs:
            carry, y = f(carry, Tensor(x))
            ys.append(y)
        return carry, stack(ys)

    (found, warned), (expected, warns) = run(scan), run(plainly)
    np.testing.assert_allclose(found, expected, rtol=1e-2 if dtype is np.float16 else 1e-5)
    assert warned == warns
