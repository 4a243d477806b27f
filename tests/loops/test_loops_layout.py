"""Wherever the results of a step lie, nothing is overwritten that is still needed, and parts are found where they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from loops_cases import assert_close, is_compiled
from loops_formulas import (
    CASES,
    Case,
    OfFormula,
    StepByStep,
    assert_program_right,
    assert_right,
    every_case,
    weights,
)
from minigrad.models.layers import unroll

from minigrad import Parameter, Tensor, concatenate, sigmoid, tanh
from minigrad.loops.backend import Executable
from minigrad.loops.buffers import SCRATCH

pytestmark = [pytest.mark.usefixtures("runner"), pytest.mark.few_natively]


def halves(a: Tensor) -> tuple[Tensor, Tensor]:
    return a[:, : a.shape[1] // 2], a[:, a.shape[1] // 2 :]


def unequal(k: Any, x: Tensor, h: Tensor) -> Tensor:
    """Gates of widths 2, 1 and 1: the first starts, and ends, where one of its width would."""
    a, H = k.all_gates(x, h), k.H
    left, right = halves(tanh(a[:, : 2 * H]))
    return sigmoid(a[:, 2 * H : 3 * H]) * left - right * a[:, 3 * H :]


def in_order(*order: int) -> Callable[..., Tensor]:
    def step(k: Any, x: Tensor, h: Tensor) -> Tensor:
        a, H = k.all_gates(x, h), k.H
        i, f, g, o = [curve(a[:, n * H : (n + 1) * H]) for n, curve in zip(order, (sigmoid, tanh, sigmoid, tanh), strict=True)]
        return i * f + g * o * h

    return step


def alike(k: Any, x: Tensor, h: Tensor) -> Tensor:
    """The same is done with each of four parts, twice."""
    i, f, g, o = [tanh(sigmoid(a)) for a in k.gates(x, h)]
    return i * h + f * h - g * o


def half_of_all(k: Any, x: Tensor, h: Tensor) -> Tensor:
    """What is cut was computed from a number, which cannot be."""
    a, H = k.all_gates(x, h) * 0.5, k.H
    return tanh(a[:, :H]) * tanh(a[:, H : 2 * H]) + tanh(a[:, 2 * H : 3 * H]) * tanh(a[:, 3 * H :]) * h


def halves_of_gates(k: Any, x: Tensor, h: Tensor) -> Tensor:
    """The same is done with two gates, and then with both halves of the second."""
    (left, right), H = halves(k.all_gates(x, h)), k.H
    i, f = sigmoid(left), sigmoid(right)
    return tanh(f[:, :H]) * h + tanh(f[:, H:]) - i[:, H:] * i[:, :H]


def pairs(k: Any, x: Tensor, h: Tensor) -> Tensor:
    i, f, g, o = k.gates(x, h)
    i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), tanh(o)
    return tanh(f * h) + i * g * o


def negatives(k: Any, x: Tensor, h: Tensor) -> Tensor:
    """What is cut has no curve, so that it is not kept for the derivative."""
    a, H = -k.all_gates(x, h), k.H
    return tanh(a[:, :H]) * h + sigmoid(a[:, H : 2 * H]) - a[:, 2 * H : 3 * H] * a[:, 3 * H :]


def part_after_whole(k: Any, x: Tensor, h: Tensor) -> Tensor:
    """The same is done with a part, and later with another that was not there before."""
    t = tanh(p := x @ k.A.T + h)
    left, right = halves(concatenate([p, t * h], axis=1))
    return tanh(concatenate([t, tanh(right)], axis=1) @ k.V.T) * 0.5 - left


FORMULAS: dict[str, Callable[..., Any]] = {
    "gates in the order of the weights": in_order(0, 1, 2, 3),
    "gates in reverse": in_order(3, 2, 1, 0),
    "gates in an odd order": in_order(2, 0, 3, 1),
    "gates of unequal width": unequal,
    "the same with all gates": alike,
    "the same with pairs of gates": pairs,
    "the same with halves of a gate": halves_of_gates,
    "gates without a curve": negatives,
    "gates of half of all": half_of_all,
    "gates joined in another order": lambda k, x, h: tanh(
        concatenate([tanh((g := k.gates(x, h))[2]), sigmoid(g[0])], axis=1) @ k.V.T + g[1] * g[3]
    ),
    "one part joined twice": lambda k, x, h: tanh(concatenate([u := sigmoid(x @ k.A.T + h @ k.P.T), u], axis=1) @ k.V.T),
    "a part joined and used elsewhere": lambda k, x, h: (
        u := tanh(concatenate([u := sigmoid(x @ k.A.T + h @ k.P.T), h * u], axis=1) @ k.V.T) * u
    ),
    "parts joined, and joined again": lambda k, x, h: (
        tanh(halves(concatenate([halves(concatenate([sigmoid(x @ k.A.T), h], axis=1))[1], tanh(h @ k.P.T)], axis=1))[1])
        + sigmoid(x @ k.A.T)
    ),
    "a part of the input and a part of the state": lambda k, x, h: tanh(concatenate([sigmoid(x @ k.A.T), h], axis=1) @ k.V.T),
    "products with one state joined": lambda k, x, h: tanh(
        concatenate([h * sigmoid(x @ k.A.T + h @ k.P.T), h * tanh(x @ k.C.T - h)], axis=1) @ k.V.T
    ),
    "a part that is there before the whole is": part_after_whole,
    "rows joined": lambda k, x, h: (
        tanh((concatenate([u := x @ k.A.T + h, -u], axis=0) @ k.P.T)[: x.shape[0]])
        + (concatenate([h, u], axis=0) @ k.P.T)[x.shape[0] :]
    ),
    "curves in a row": lambda k, x, h: tanh(sigmoid(tanh(-(x @ k.A.T + h @ k.P.T)))),
    "a result used twice": lambda k, x, h: (z := sigmoid(x @ k.A.T + h @ k.P.T)) * tanh(z) + (y := z * h) * y * 0.5,
    "an operand used after its result": lambda k, x, h: (y := -(z := sigmoid(x @ k.A.T + h @ k.P.T))) * h + tanh(z - y) * z,
    "the old state used last": lambda k, x, h: tanh(x @ k.A.T + tanh(h @ k.P.T)) * h,
}
EITHER = ("rows joined", "parts joined, and joined again")
"""Those that may be run step by step."""


@every_case
@pytest.mark.parametrize("name", FORMULAS)
def test_a_loop_has_the_results_and_the_gradients_of_its_steps(name: str, case: Case) -> None:
    assert_right(FORMULAS[name], case, as_loop=None if name in EITHER else True)


STATES: dict[str, Callable[..., Any]] = {
    "lstm": lambda k, x, c, h: (
        c := sigmoid((g := k.gates(x, h))[0]) * c + sigmoid(g[1]) * tanh(g[2]),
        sigmoid(g[3]) * tanh(c),
    ),
    "parts that change places": lambda k, x, c, h: (tanh(h @ k.P.T + x @ k.A.T), sigmoid(c @ k.P.T - h)),
    "a new part used three times": lambda k, x, c, h: (z := tanh(x @ k.A.T + c * h), z * z + c * tanh(z)),
    "a part that nothing changes but a number": lambda k, x, c, h: (c * 0.5, tanh(x @ k.A.T + h @ k.P.T + c)),
    "an old part used after the new one": lambda k, x, c, h: (z := -c * sigmoid(h @ k.P.T), (x @ k.A.T + c) * z - h),
    "a part that leaks and is used one step late": lambda k, x, c, h: (0.5 * c + tanh(x @ k.A.T), tanh(h @ k.P.T + c)),
    "a gradient that is passed from one part to the other": lambda k, x, c, h: (c + h, tanh(x @ k.A.T + c - h)),
}


@pytest.mark.parametrize("case", [*CASES[:4], CASES[6]], ids=lambda case: f"{case.T}-{case.B}-{case.H}")
@pytest.mark.parametrize("name", STATES)
def test_a_loop_with_two_parts_of_a_state_has_the_results_and_the_gradients_of_its_steps(name: str, case: Case) -> None:
    assert_right(STATES[name], case, ("c", "h"))


@pytest.mark.parametrize("case", [case for case in CASES if case.H == 2])
def test_a_gradient_of_the_state_may_also_be_cut_into_parts(case: Case) -> None:
    def step(k: Any, x: Tensor, h: Tensor) -> Tensor:
        left, right = halves(x @ k.A.T)
        return h + concatenate([tanh(left), sigmoid(right)], axis=1)

    assert_right(step, case)


@pytest.mark.parametrize("case", CASES[:4])
@pytest.mark.parametrize("cuts", [(0, 2, 1, 3), (0, 3, 2, 4), (0, 1, 3, 4), (1, 2, 2, 3), (0, 2, 2, 4), (1, 3, 0, 2)])
def test_overlapping_parts_and_gaps_are_right_as_a_loop_or_not(cuts: tuple[int, ...], case: Case) -> None:
    def step(k: Any, x: Tensor, h: Tensor) -> Tensor:
        a, H, (start, stop, begin, end) = k.all_gates(x, h), k.H, cuts
        p, q = sigmoid(a[:, start * H : stop * H]), tanh(a[:, begin * H : end * H])
        return p[:, :H] * q[:, -H:] - h

    assert_right(step, case, as_loop=None)


# ---------------------------------------------------------------- programs without a derivative

B, H = 2, 3
U = Parameter(weights(2 * H, H))
ONE_COLUMN = Parameter(weights(1, H))


def gate(rows: list[Tensor], states: list[Tensor]) -> list[Tensor]:
    """Six operations before the new state, each of which could lie in the place of the next."""
    (x,), (h,) = rows, states
    a = h @ U.T
    i, f = tanh(-a[:, :H]), tanh(-a[:, H:])
    return [sigmoid(i * x) - f * h]


def narrow(rows: list[Tensor], states: list[Tensor]) -> list[Tensor]:
    """A single column times all of the state."""
    (x,), (h,) = rows, states
    return [tanh(sigmoid(h @ ONE_COLUMN.T) * (h - x))]


def known_first(rows: list[Tensor], states: list[Tensor]) -> list[Tensor]:
    """What is known before the loop is used in it by an operation whose result nobody keeps."""
    (x,), (h,) = rows, states
    return [tanh(-(-x + h) * h)]


def needed_after(rows: list[Tensor], states: list[Tensor]) -> list[Tensor]:
    """The other part of the state is computed from the results of all steps."""
    (x,), (c, h) = rows, states
    y = sigmoid(x - h)
    return [tanh(y) * c, tanh(y * x)]


PROGRAMS: dict[str, tuple[Callable[..., Any], int]] = {
    "gate": (gate, 1),
    "narrow": (narrow, 1),
    "known first": (known_first, 1),
    "needed after": (needed_after, 2),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("every_state", [False, True])
@pytest.mark.parametrize(("T", "reverse"), [(1, False), (5, True), (66, False)])
def test_a_program_keeps_what_it_is_asked_to_keep_and_nothing_changes_by_it(
    name: str, every_state: bool, T: int, reverse: bool
) -> None:
    step, parts = PROGRAMS[name]
    streams, states = [weights(T, B, H)], [weights(B, H, seed=k) for k in range(parts)]
    count = len(assert_program_right(step, streams, states, (), every_state, reverse).body)
    assert count > 0
    for kept in [*[(k,) for k in range(3)], range(4)]:
        assert_program_right(step, streams, states, kept, every_state, reverse)


def scratch(step: Callable[..., Any], width: int = H) -> list[tuple[int, ...]]:
    """The arrays that every step uses again."""
    executable: Executable = assert_program_right(step, [weights(5, B, width)], [weights(B, width)])
    return [row.shape for kind, row in executable.arrays if kind == SCRATCH]


def test_what_nothing_else_needs_is_computed_where_the_result_will_be() -> None:
    assert scratch(lambda rows, states: [tanh(-(rows[0] - states[0]))]) == []
    assert scratch(lambda rows, states: [tanh(y := -(rows[0] - states[0])) * y]) == [(B, H)]


def test_what_is_only_cut_is_laid_out_part_by_part_and_what_is_done_alike_side_by_side() -> None:
    def step(rows: list[Tensor], states: list[Tensor]) -> list[Tensor]:
        i, f = halves(-(rows[0] - states[0]))
        return [concatenate([tanh(f), tanh(i)], axis=1) * states[0]]

    def uneven(rows: list[Tensor], states: list[Tensor]) -> list[Tensor]:
        a = -(rows[0] - states[0])
        return [concatenate([tanh(a[:, :2]), tanh(a[:, 2:3]), a[:, 3:]], axis=1) * states[0]]

    assert (2, B, 2) in scratch(step, 4)
    assert (B, 4) in scratch(uneven, 4)


@pytest.mark.parametrize("case", CASES[2:4])
def test_gates_of_the_input_alone_that_multiply_one_state_may_be_joined(case: Case) -> None:
    def step(k: Any, x: Tensor, h: Tensor) -> Tensor:
        return tanh(concatenate([h * sigmoid(x @ k.A.T), h * tanh(x @ k.C.T)], axis=1) @ k.V.T)

    assert_right(step, case)


@pytest.mark.parametrize("case", CASES[:4])
def test_parts_of_parts_may_be_cut_out(case: Case) -> None:
    def step(k: Any, x: Tensor, h: Tensor) -> Tensor:
        (i, f), (g, o) = [halves(-half) for half in halves(k.all_gates(x, h))]
        return sigmoid(i) * h + tanh(f) * sigmoid(g) - o

    assert_right(step, case)


def test_an_input_of_one_column_is_not_taken_for_one_of_all_columns() -> None:
    def step(k: Any, x: Tensor, h: Tensor) -> Tensor:
        i, f = halves(x + h @ k.U[: 2 * k.H].T)
        return sigmoid(i) * tanh(f)

    cells = [kind(step, 2) for kind in (OfFormula, StepByStep)]
    for width in (4, 1):
        found, expected = [unroll(cell, weights(5, 3, width))[0].numpy() for cell in cells]
        assert_close({"hs": found}, {"hs": expected})


def test_factors_of_unequal_width_may_be_joined() -> None:
    def step(k: Any, x: Tensor, h: Tensor) -> Tensor:
        wide, narrow = tanh(x @ k.A[1:, :1].T), sigmoid(x @ k.A[:1, :1].T)
        i, f = halves(tanh(concatenate([x * wide, x * narrow, h], axis=1)))
        return i * f

    found, expected = [unroll(kind(step, 3), weights(5, 2, 1))[0] for kind in (OfFormula, StepByStep)]
    assert is_compiled(found)
    assert_close({"hs": found.numpy()}, {"hs": expected.numpy()})


@pytest.mark.parametrize("case", CASES)
def test_columns_of_a_state_whose_gradient_is_passed_on_as_it_is_may_be_sums_of_others(case: Case) -> None:
    def carried(k: Any, x: Tensor, c: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        v = (x @ k.A.T)[:, :1]
        return c + concatenate([v] * k.H, axis=1), tanh(h @ k.P.T + c)

    assert_right(carried, case, ("c", "h"), as_loop=None)


def test_the_gradient_of_a_product_may_be_columns_of_such_a_state() -> None:
    def carried(k: Any, x: Tensor, c: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return c + concatenate([x @ k.A[:1].T, h @ k.P[1:].T], axis=1), tanh(h @ k.P.T + c)

    assert_right(carried, CASES[2], ("c", "h"), as_loop=None)
