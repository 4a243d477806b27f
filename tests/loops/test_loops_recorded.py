"""A backward pass that is recorded is a loop too: of any order, with the numbers of the steps one by one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from loops_cases import CELLS, D, H, Pass, assert_close, both, both_directions, each_kind, every_cell, pair, plainly
from loops_oracle import assert_same, gradients, loss_of, results_of, seen, tensor
from minigrad.models.layers import unroll

from minigrad import Tensor, explain_loop, grad, hessian, hvp, jacobian, jvp, maximum, scan, tanh, vjp, walk
from minigrad.errors import GraphError
from minigrad.graph import SOURCES, ancestors
from minigrad.loops.loop import Loop


def orders(each: Pass, highest: int = 3) -> list[tuple[Tensor, ...]]:
    """The gradients of the loss, of the sum of their squares, and so on."""
    found, loss, leaves = [], each.loss, list(each.leaves().values())
    for _ in range(highest):
        found.append(grad(loss, leaves, create_graph=True))
        loss = sum((g * g).sum() for g in found[-1])
    return found


def named(orders: list[tuple[Tensor, ...]]) -> dict[str, Any]:
    return {f"{order + 1}, {k}": g.numpy() for order, gs in enumerate(orders) for k, g in enumerate(gs)}


def nodes(tensors: tuple[Tensor, ...]) -> list[Any]:
    """The graph as it was recorded."""
    return ancestors([g._node for g in tensors], SOURCES)


@pytest.mark.sampled(1)
@every_cell
@both_directions
def test_derivatives_of_the_third_order_are_those_of_the_steps_one_by_one(name: str, reverse: bool) -> None:
    one, other = both(name, T=8, reverse=reverse)
    assert_close(named(orders(one)), named(orders(other)), tolerance=1e-11)


@pytest.mark.sampled(1)
@every_cell
@both_directions
def test_the_graph_of_a_recorded_backward_pass_does_not_grow_with_the_steps(name: str, reverse: bool) -> None:
    counts = []
    for T in (8, 12):
        first, second, third = orders(Pass(pair(name)[0], T=T, reverse=reverse))
        counts.append([len(nodes(gradients)) for gradients in (first, second, third)])
        loops = [node for node in nodes(first) if isinstance(node, Loop)]
        assert len(loops) == 2
        assert all(loop.written is None for loop in loops)
    assert counts[0] == counts[1]


TRANSFORMS: dict[str, Callable[[Any, Any], Any]] = {
    "vjp": lambda f, x: vjp(f, x)[1]()[0],
    "jvp": lambda f, x: jvp(f, x, np.cos(x))[1],
    "hvp": lambda f, x: hvp(f, x, np.cos(x)),
    "jacobian": lambda f, x: jacobian(f, x),
    "hessian": lambda f, x: hessian(f, x),
}


@each_kind
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_function_that_is_differentiated_has_its_loop_compiled(name: str, transform: str) -> None:
    cell, x = pair(name)[0], np.random.default_rng(0).standard_normal((7, 1, D))

    def f(xs: Any) -> Tensor:
        return (unroll(cell, xs)[0] ** 2.0).sum()

    found: list[Any] = []
    reports = explain_loop(lambda: found.append(TRANSFORMS[transform](f, x)))
    assert all(report.is_compiled for report in reports)
    with plainly():
        expected = TRANSFORMS[transform](f, x)
    assert_close({"": found[0].numpy()}, {"": expected.numpy()}, tolerance=1e-12)


def test_a_scan_in_a_function_that_is_differentiated_is_compiled() -> None:
    W = np.random.default_rng(0).standard_normal((4, 4))

    def last(h: Any) -> Any:
        return scan(lambda h, x: (tanh(h @ W + x), None), h, np.ones((5, 1)))[0]

    found = jacobian(last, np.ones(4)).numpy()
    with plainly():
        assert_close({"": found}, {"": jacobian(last, np.ones(4)).numpy()})


class Own:
    """Uses of consts of every form: twice in products, from both sides, stretched along axes, as rows, as numbers."""

    pure_step = True
    state_names = ("a", "h")

    def __init__(self) -> None:
        random = np.random.default_rng(3)
        for name, shape in {"U": (H, H), "E": (6, H), "p": (H,), "s": (), "column": (2, 1)}.items():
            setattr(self, name, Tensor(random.standard_normal(shape) * 0.5, requires_grad=True))

    def initial_state(self, batch_size: int) -> Any:
        return np.full((batch_size, H), 0.25), np.zeros((batch_size, H))

    def step(self, x: Any, state: Any) -> Any:
        a, h = state
        a = tanh(tensor(a) * self.p + self.E[x])
        return a, maximum(h @ self.U + a @ self.U.T * self.s, 0.1 * self.column) / (1.0 + a * a)

    def parameters(self) -> Any:
        return [self.U, self.E, self.p, self.s, self.column]


def penalised(xs: Any, losses: tuple[str, ...] | None = None, **options: Any) -> dict[str, Any]:
    """The gradients of a sum of squares of gradients of the loss."""
    cell = Own()
    leaves = {k: v for k, v in vars(cell).items() if isinstance(v, Tensor)}
    first = grad(loss_of(results_of(unroll(cell, xs, **options)), losses), list(leaves.values()), create_graph=True)
    sum((g * g).sum() for g in first).backward()
    return {f"first {k}": g.numpy() for k, g in zip(leaves, first, strict=True)} | gradients(leaves)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"reverse": True},
    {"lengths": [9, 7]},
    {"lengths": [8, 8]},
    {"lengths": [7, 8], "reverse": True},
    {"lengths": [2, 1]},
    {"truncated": 2},
]


@pytest.mark.parametrize("losses", [None, ("hs",), ("final 0",), ("final 1",), ("hs", "final 0")])
@pytest.mark.parametrize("options", OPTIONS)
def test_a_users_cell_with_consts_of_every_form(losses: tuple[str, ...] | None, options: dict[str, Any]) -> None:
    xs = np.random.default_rng(0).integers(0, 6, (9, 2))
    found = penalised(xs, losses, **options)
    with plainly():
        expected = penalised(xs, losses, **options)
    assert_same(found, expected)


def test_what_the_first_derivative_does_not_depend_on_has_no_gradient() -> None:
    def run() -> dict[str, Any]:
        leaves = {name: Tensor(np.array([0.5, 2.0]), requires_grad=True) for name in "abc"}

        def step(s: Any, x: Any) -> Any:
            return (s[0] * leaves["a"] + x, tanh(s[1] * leaves["b"]) + x * leaves["c"]), s

        (p, q), _ = scan(step, (np.ones(2), np.ones(2)), np.ones((9, 2)))
        first = grad(p.sum() + (q * q).sum(), list(leaves.values()), create_graph=True)
        (first[0] * first[0]).sum().backward()
        return gradients(leaves) | {f"wants {k}": g.requires_grad for k, g in enumerate(first)}

    found = run()
    with plainly():
        assert_same(found, run())
    assert found["d b"] is None
    assert found["d a"] is not None


Values = tuple[Tensor, Tensor]


def forgets(s: Values, x: Tensor, U: Tensor, V: Tensor) -> Values:
    """The old b is not used."""
    return tanh(x * U), s[1] + s[0] * V


def dies_out(s: Values, x: Tensor, U: Tensor, V: Tensor) -> Values:
    """What is sent to a reaches b, and nothing reaches a."""
    return s[1] * U, x * V


def alternates(s: Values, x: Tensor, U: Tensor, V: Tensor) -> Values:
    """Every other step has no cotangent of a."""
    return s[1] * U, tanh(s[0] * V) * x


def one_way(s: Values, x: Tensor, U: Tensor, V: Tensor) -> Values:
    """U has an effect on a after two steps."""
    return s[0] * U + x, s[1] + tanh(s[0]) * V


@pytest.mark.parametrize("step", [forgets, dies_out, alternates, one_way])
@pytest.mark.parametrize("T", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("lengths", [None, "full", "one"])
@pytest.mark.parametrize("part", [0, 1])
def test_what_no_second_derivative_gets_to_is_none_as_step_by_step(
    step: Callable[..., Values], T: int, lengths: str | None, part: int
) -> None:
    class Two:
        pure_step = True
        state_names = ("b", "a")

        def __init__(self) -> None:
            self.U, self.V = (Tensor(np.array([k, 0.7]), requires_grad=True) for k in (0.5, 0.9))

        def initial_state(self, batch_size: int) -> Any:
            return np.full((batch_size, 2), 0.3), np.full((batch_size, 2), 0.4)

        def step(self, x: Any, state: Any) -> Any:
            return step(tuple(map(tensor, state)), x, self.U, self.V)

        def parameters(self) -> Any:
            return [self.U, self.V]

    def run() -> dict[str, Any]:
        cell, xs = Two(), Tensor(np.full((T, 2, 2), 0.6), requires_grad=True)
        start = tuple(Tensor(np.full((2, 2), k), requires_grad=True) for k in (0.3, 0.4))
        counts = {"full": [T, T], "one": [T, 1]}.get(lengths or "")
        _, final = unroll(cell, xs, start, lengths=counts)
        leaves = {"U": cell.U, "V": cell.V, "xs": xs, "b": start[0], "a": start[1]}
        first = grad((final[part] ** 2.0).sum(), list(leaves.values()), create_graph=True)
        penalty = sum((g * g).sum() for g in first)
        penalty.backward()
        return gradients(leaves) | {f"wants {k}": g.requires_grad for k, g in enumerate(first)}

    found = run()
    with plainly():
        assert_same(found, run())


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("learnt", [False, True])
def test_what_is_not_a_number_where_no_gradient_gets_to_spoils_nothing(recorded: bool, learnt: bool) -> None:
    def run() -> dict[str, Any]:
        U = Tensor(np.array([0.5]), requires_grad=learnt)
        xs = np.ones((8, 2, 1))
        xs[-1] = np.nan
        leaves = {"xs": Tensor(xs, requires_grad=True), "b": Tensor(np.ones((2, 1)), requires_grad=True)}
        start = (np.zeros((2, 1)), leaves["b"])
        (a, _), _ = scan(lambda s, x: ((s[0] + tanh(s[1]), tanh(s[1] * U + x)), None), start, leaves["xs"])
        wanted = [*leaves.values(), *([U] if learnt else [])]
        return {str(k): g.numpy() for k, g in enumerate(grad(a.sum(), wanted, create_graph=recorded))}

    found = run()
    with plainly():
        assert_same(found, run())
    assert all(np.isfinite(g).all() for g in found.values())


@each_kind
def test_where_numbers_overflow_warnings_and_numbers_are_those_of_the_steps(name: str) -> None:
    def run(each: Pass) -> dict[str, Any]:
        first = grad((each.loss * 1e200) * 1e200, list(each.leaves().values()), create_graph=True)
        return {str(k): g.numpy() for k, g in enumerate(first)}

    one, other = both(name, T=3)
    assert_same(seen(lambda: run(one)), seen(lambda: run(other)))


@each_kind
def test_a_loop_whose_steps_were_written_out_is_differentiated_twice_step_by_step(name: str) -> None:
    one, other = both(name, T=8)
    walk(one.loss)
    found = orders(one, 2)
    assert_close(named(found), named(orders(other, 2)), tolerance=1e-12)
    assert len(walk(*found[0])) == len(walk(*orders(other, 1)[0]))


@each_kind
def test_the_steps_of_a_recorded_backward_pass_can_be_looked_at(name: str) -> None:
    each = Pass(pair(name)[0], T=8)
    first, second = orders(each, 2)
    times = {node.time for node in walk(*first)}
    assert set(range(1, 9)) <= times
    (again,) = grad(sum((g * g).sum() for g in first), [each.xs], create_graph=True)
    assert_close({"": again.numpy()}, {"": second[list(each.leaves()).index("xs")].numpy()}, tolerance=1e-12)


@each_kind
def test_hooks_see_the_gradients_of_both_passes(name: str) -> None:
    found = []
    for each in both(name, T=8):
        calls: list[Any] = []
        each.hs.register_hook(lambda g, calls=calls: calls.append(np.array(g if isinstance(g, np.ndarray) else g.numpy())))
        orders(each, 2)
        found.append({str(k): g for k, g in enumerate(calls)})
    assert found[0].keys() == found[1].keys()
    assert_close(*found, tolerance=1e-12)


@each_kind
def test_after_a_recorded_backward_pass_a_plain_one_is_what_it_was(name: str) -> None:
    one, other = Pass(pair(name)[0], T=8), Pass(pair(name)[0], T=8)
    orders(one, 2)
    assert_close(one.gradients(), other.gradients(), tolerance=0.0)


@each_kind
def test_what_was_not_retained_is_released_for_the_second_pass_too(name: str) -> None:
    for each in both(name, T=8):
        first = grad(each.loss, list(each.leaves().values()), create_graph=True, retain_graph=False)
        with pytest.raises(GraphError, match="already released"):
            sum((g * g).sum() for g in first).backward()


@pytest.mark.parametrize("name", CELLS)
def test_a_gradient_penalty_warns_of_nothing(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        orders(Pass(pair(name)[0], T=1), 2)
