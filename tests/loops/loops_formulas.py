"""Cells made of a formula, run as a loop and step by step; and programs of a step run without a derivative."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import pytest
from loops_cases import assert_close, is_compiled
from minigrad.models.layers import unroll
from minigrad.models.states import parts_of

from minigrad import Module, Parameter, Tensor, no_grad
from minigrad.loops.backend import Executable
from minigrad.loops.fuse import Plan
from minigrad.loops.program import CARRY, CONST, LOCAL, XS, Program, Ref
from minigrad.loops.schedule import Schedule
from minigrad.loops.trace import Trace, hoisted

D = 3


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    """Random numbers that depend on the shape."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape) / 2


class OfFormula(Module):
    """A cell whose step is a formula: (cell, x, parts of the state …) ↦ new state."""

    pure_step = True

    def __init__(self, formula: Callable[..., Any], H: int, state_names: tuple[str, ...] = ("h",), dtype: Any = float) -> None:
        self.formula, self.H, self.state_names = formula, H, state_names
        shapes = {
            "W": (4 * H, D),
            "U": (4 * H, H),
            "A": (H, D),
            "C": (H, D),
            "P": (H, H),
            "V": (H, 2 * H),
            "b": (4 * H,),
            "w": (H,),
        }
        for k, (name, shape) in enumerate(shapes.items()):
            setattr(self, name, Parameter(weights(*shape, seed=k).astype(dtype)))

    def initial_state(self, batch: int) -> Any:
        parts = [Tensor(np.full((batch, self.H), 0.1)) for _ in self.state_names]
        return parts[0] if len(parts) == 1 else tuple(parts)

    def step(self, x: Tensor, state: Any) -> Any:
        return self.formula(self, x, *(state if len(self.state_names) > 1 else (state,)))

    def all_gates(self, x: Tensor, h: Tensor) -> Tensor:
        """Four times the width of the state."""
        return x @ self.W.T + h @ self.U.T + self.b

    def gates(self, x: Tensor, h: Tensor) -> list[Tensor]:
        """The four parts."""
        a = self.all_gates(x, h)
        return [a[:, k * self.H : (k + 1) * self.H] for k in range(4)]


class StepByStep(OfFormula):
    """The same, not as a loop."""

    pure_step = False


class Case(NamedTuple):
    """Sizes of a run."""

    T: int
    B: int
    H: int
    reverse: bool = False
    wants_xs: bool = True
    dtype: Any = np.float64
    times: int = 1


CASES = (
    Case(1, 3, 2),
    Case(2, 1, 1, reverse=True),
    Case(5, 3, 2, reverse=True, times=6),
    Case(5, 2, 3, wants_xs=False, times=6),
    Case(63, 1, 2, wants_xs=False),
    Case(64, 3, 1, reverse=True),
    Case(65, 1, 2),
    Case(130, 2, 2, reverse=True),
    Case(4, 3, 2, dtype=np.float32),
)

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.T}-{case.B}-{case.H}")


def found(cell: OfFormula, case: Case, learnt: bool = True) -> tuple[bool, dict[str, Any]]:
    """Whether it was a loop; and all results and gradients of a cell."""
    T, B, H = case.T, case.B, cell.H
    xs = Tensor(weights(T, B, D).astype(case.dtype), requires_grad=case.wants_xs)
    parts = [Tensor(weights(B, H, seed=k).astype(case.dtype), requires_grad=learnt) for k in range(len(cell.state_names))]
    start = tuple(parts) if len(parts) > 1 else parts[0]
    with no_grad():
        unrecorded, _ = unroll(cell, xs, start, reverse=case.reverse)
    cell.zero_grad()
    hs, final = unroll(cell, xs, start, reverse=case.reverse)
    loss = (hs * weights(T, B, H, seed=5).astype(case.dtype)).sum()
    for k, part in enumerate(parts_of(final)):
        loss = loss + (part * weights(B, H, seed=7 + k).astype(case.dtype)).sum()
    loss.backward()
    leaves = {"xs": xs, **{f"start {k}": part for k, part in enumerate(parts)}, **dict(cell.named_parameters())}
    results = {"unrecorded": unrecorded, "hs": hs, **{f"final {k}": part for k, part in enumerate(parts_of(final))}}
    return is_compiled(hs), {
        **{name: tensor.numpy() for name, tensor in results.items()},
        **{f"gradient of {name}": None if leaf.grad is None else leaf.grad.copy() for name, leaf in leaves.items()},
    }


def assert_right(formula: Callable[..., Any], case: Case, names: tuple[str, ...] = ("h",), as_loop: bool | None = True) -> None:
    """The loop has the results and the gradients of the steps one by one; None: it need not be a loop."""
    _, expected = found(StepByStep(formula, case.H, names, case.dtype), case)
    cell = OfFormula(formula, case.H, names, case.dtype)
    for _ in range(case.times):
        was_loop, values = found(cell, case)
        assert as_loop is None or was_loop == as_loop
        assert_close(values, expected, 1e-12 if case.dtype == np.float64 else 1e-4)


# ---------------------------------------------------------------- programs without a derivative


Function = Callable[[list[Tensor], list[Tensor]], list[Tensor]]


def program_of(step: Function, rows: list[np.ndarray], states: list[np.ndarray]) -> tuple[Program, list[Any]]:
    """The program of a step (rows, states) ↦ new states, with what depends on consts alone taken out, and the consts."""
    trace = Trace(lambda parts, taken: (step(taken, parts), []), states, rows, [None] * len(rows))
    program, consts, _ = hoisted(trace)
    return program, [None if const is None else const._array for const in consts]


def line_by_line(program: Program, rows: list[Any], states: list[Any], consts: list[Any]) -> list[Any]:
    """The locals of one step, each computed by its operation."""
    given: dict[str, list[Any]] = {XS: rows, CARRY: states, CONST: consts, LOCAL: []}
    for line in program.lines:
        given[LOCAL].append(line.op.compute(*[given[kind][number] for kind, number in line.operands]))
    return given[LOCAL]


def assert_program_right(
    step: Function,
    streams: list[np.ndarray],
    states: list[np.ndarray],
    kept: Iterable[int] = (),
    every_carry: bool = True,
    reverse: bool = False,
) -> Executable:
    """The loop over a step computes what its lines do one by one: the last state, and those locals that are kept."""
    program, consts = program_of(step, [stream[0] for stream in streams], states)
    executable = Executable(Plan(Schedule(program, kept, every_carry)))
    T = len(streams[0])
    run = executable.run(T, streams, states, consts, reverse)
    for number in reversed(range(T)) if reverse else range(T):
        values = line_by_line(program, [stream[number] for stream in streams], states, consts)
        states = [values[ref.number] for ref in program.new_carry]
        for k in kept:
            np.testing.assert_allclose(run.row(Ref(LOCAL, k), number), values[k], rtol=1e-13, atol=1e-15)
    for k, part in enumerate(states):
        np.testing.assert_allclose(run.last(k), part, rtol=1e-13, atol=1e-15)
    return executable
