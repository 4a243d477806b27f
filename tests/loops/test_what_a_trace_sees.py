"""What a step can learn of its operands in other ways than by computing with them, and what it can return that it has not
computed: its loop is the plain loop over it all the same."""

from __future__ import annotations

import operator
import warnings
from typing import Any

import numpy as np
import pytest
from loops_oracle import assert_same, by_hand, seen, trained, twice_differentiated, unrecorded
from minigrad.models import unroll
from one_step_cells import B, D, H, Of, Step, T, is_plain, new, random

from minigrad import (
    Module,
    Parameter,
    Tensor,
    concatenate,
    dropout,
    enable_grad,
    explain_loop,
    grad,
    log,
    no_grad,
    norm,
    optim,
    scan,
    sigmoid,
    stack,
    tanh,
    walk,
    where,
)  # fmt: skip
from minigrad.errors import MutationError, ShapeError
from minigrad.ops.transcendental import Tanh

# ---------------------------------------------------------------- operands that an operation keeps to itself

HIDDEN: dict[str, tuple[Step, np.ndarray]] = {
    "numbers chosen by the state": (lambda c, x, h: new(c, x, h) * 0.9 - where(h > 0, 1.0, 0.0), random(T, B, D)),
    "numbers chosen by x": (lambda c, x, h: new(c, x, h) + where(x[:, :1] > 0, 1.0, 0.0), random(T, B, D)),
    "arrays chosen by the state": (lambda c, x, h: new(c, x, h) - np.where(h > 0, np.ones(H), np.zeros(H)), random(T, B, D)),
    "rows chosen by the state": (lambda c, x, h: new(c, x, h) + c.U[where(h[:, 0] > 0, 1, 0)], random(T, B, D)),
    "xs of booleans, as numbers": (lambda c, x, h: tanh(where(x, 1.0, 0.0) @ c.W.T + h @ c.U.T), random(T, B, D) > 0),
    "a spike and a reset": (
        lambda c, x, h: (lambda v: v - where(v > 0.2, 0.5, 0.0))(0.9 * h + x @ c.W.T), random(T, B, D)
    ),
    "a mask of a mask": (
        lambda c, x, h: (lambda mask: (mask * (mask * h)) * 0.5 + x @ c.W.T)(tanh(h) > -0.5), random(T, B, D)
    ),
    "a sum to one number": (lambda c, x, h: new(c, x, h) * tanh(h.sum()) / norm(h), random(T, B, D)),
    "whether anything is recorded": (
        lambda c, x, h: new(c, x, h) * (2.0 if (c.b * 1.0).requires_grad else 1.0), random(T, B, D)
    ),
    "a product to one number": (lambda c, x, h: new(c, x, h) + h[0] @ h[1], random(T, B, D)),
}  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("how", [trained, twice_differentiated, unrecorded])
def test_whatever_an_operation_reads_is_part_of_the_program(name: str, how: Any) -> None:
    step, xs = HIDDEN[name]

    def run(loop: Any) -> dict[str, Any]:
        cell = Of(step)
        return how(loop, cell, xs, dict(cell.named_parameters()))

    assert_same(seen(lambda: run(unroll)), seen(lambda: run(by_hand)))
    assert not is_plain(Of(step), xs)


# ---------------------------------------------------------------- what Python can ask of a tensor

ASKED: dict[str, Step] = {
    "is_leaf": lambda c, x, h: new(c, x, h) * (2.0 if h.is_leaf else 1.0),
    "node": lambda c, x, h: new(c, x, h) * (2.0 if h.node is None else 1.0),
    "walk": lambda c, x, h: new(c, x, h) * (2.0 if len(walk(h)) > 1 else 1.0),
    "name": lambda c, x, h: new(c, x, h).named("h") * (2.0 if h.name is None else 1.0),
    "grad": lambda c, x, h: new(c, x, h) * (2.0 if c.U.grad is None else 1.0),
    "format": lambda c, x, h: new(c, x, h) + float(f"{h.sum():.3f}"),
    "a gradient": lambda c, x, h: new(c, x, h) + grad((c.b * c.b).sum(), [c.b])[0],
    "dropout": lambda c, x, h: dropout(new(c, x, h), 0.5, rng=c.rng),
    "dropout of weights": lambda c, x, h: tanh(x @ c.W.T + h @ dropout(c.U, 0.5, rng=c.rng)),
}


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("how", [trained, unrecorded])
def test_a_step_that_asks_for_more_than_values_is_run_as_it_is_written(name: str, how: Any) -> None:
    def run(loop: Any) -> dict[str, Any]:
        cell = Of(ASKED[name])
        return how(loop, cell, random(T, B, D), dict(cell.named_parameters()))

    assert_same(seen(lambda: run(unroll)), seen(lambda: run(by_hand)))
    assert is_plain(Of(ASKED[name]), random(T, B, D))


def test_a_hook_that_a_step_registers_is_registered_at_every_step() -> None:
    def hooked(c: Any, x: Any, h: Any) -> Tensor:
        c.U.register_hook(lambda g: g * 0.5)
        return new(c, x, h)

    found = []
    for loop in (unroll, by_hand):
        cell = Of(hooked)
        loop(cell, random(T, B, D))[0].sum().backward()
        found.append(cell.U.grad)
    np.testing.assert_allclose(*found)


# ---------------------------------------------------------------- operands of several kinds

MIXED: dict[str, tuple[Step, Any, Any]] = {
    "float32 xs of a float64 state": (lambda c, x, h: h * x * x + tanh(x), lambda: np.full((B, D), 0.1), np.float32),
    "float64 xs of a float32 state": (
        lambda c, x, h: h * x * x + tanh(x), lambda: np.full((B, D), 0.1, np.float32), np.float64
    ),
    "a state that begins with integers": (
        lambda c, x, h: where(x[:, :1] > 0, new(c, x, h), h), lambda: np.zeros((B, H), int), np.float64
    ),
    "float16 among float64": (lambda c, x, h: h * x * x - h * x, lambda: np.full((B, D), 0.1), np.float16),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("how", [trained, unrecorded])
def test_operands_may_be_of_several_dtypes(name: str, how: Any) -> None:
    step, start, dtype = MIXED[name]

    def run(loop: Any) -> dict[str, Any]:
        state = Tensor(start(), requires_grad=start().dtype.kind == "f")
        cell = Of(step, state)
        return how(loop, cell, random(T, B, D).astype(dtype), dict(cell.named_parameters()) | {"start": state})

    assert_same(seen(lambda: run(unroll)), seen(lambda: run(by_hand)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_power_of_a_number_has_the_dtype_of_the_exponent_and_so_has_its_derivative(dtype: Any) -> None:
    xs, U = random(T, B, H).astype(dtype), random(H, H).astype(dtype)

    def run(loop: Any) -> dict[str, Any]:
        cell = Of(lambda c, x, h: 2 ** tanh(x + h @ c.U.T), np.zeros((B, H), dtype), U=Parameter(U))
        assert not is_plain(cell, xs)
        return trained(loop, cell, xs, {"U": cell.U})

    assert_same(run(unroll), run(by_hand), tolerance=4 * float(np.finfo(dtype).eps))


def test_a_loop_whose_derivative_computes_in_another_dtype_is_run_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Tanh.vjp
    monkeypatch.setattr(Tanh, "vjp", lambda self, g, y: [part * np.ones(1) for part in right(self, g, y)])

    def run(loop: Any) -> dict[str, Any]:
        U, start, xs = (random(*shape).astype(np.float32) for shape in ((H, H), (B, H), (T, B, H)))
        cell = Of(lambda c, x, h: tanh(x + h @ c.U.T), start, U=Parameter(U))
        return trained(loop, cell, xs, {"U": cell.U})

    assert_same(run(unroll), run(by_hand), tolerance=1e-6)


# ---------------------------------------------------------------- results that are no computation of the step's

CONSTANT: dict[str, tuple[Step, Any]] = {
    "a parameter": (lambda c, x, h: c.U, random(H, H)),
    "of parameters": (lambda c, x, h: c.b * c.v + np.zeros((B, H)), None),
    "of nothing": (lambda c, x, h: Tensor(np.ones((B, H))), None),
    "one of two parts": (lambda c, x, s: (c.b + np.zeros((B, H)), new(c, x, s[1]) * s[0]), (np.zeros((B, H)), np.ones((B, H)))),
    "the same entries in another order": (
        lambda c, x, s: {"b": new(c, x, s["a"]), "a": s["b"] * 0.5}, {"a": np.zeros((B, H)), "b": np.ones((B, H))}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONSTANT)
@pytest.mark.parametrize("lengths", [None, [5, 3]])
def test_a_state_may_be_set_to_what_is_the_same_at_every_step(name: str, lengths: Any) -> None:
    step, start = CONSTANT[name]
    if lengths is not None and isinstance(start, np.ndarray):
        return

    def run(loop: Any) -> dict[str, Any]:
        cell = Of(step, start)
        hs, final = loop(cell, random(T, B, D))
        total = hs.sum() + (c["a"] if isinstance(c := final, dict) else hs).sum()
        found = {"hs": hs.numpy(), "wants": hs.requires_grad}
        if hs.requires_grad:
            total.backward()
        return found | {name: p.grad for name, p in cell.named_parameters()}

    def plain(cell: Any, xs: np.ndarray) -> Any:
        state, hs = cell.initial_state(B), []
        for t, x in enumerate(xs):
            old, state = state, cell.step(Tensor(x), state)
            h = state[-1] if isinstance(state, tuple) else list(state.values())[-1] if isinstance(state, dict) else state
            if lengths is not None:
                on = np.array([[t < length] for length in lengths])
                h = where(on, h, 0.0)
                if isinstance(state, tuple):
                    state = tuple(where(on, a, b) for a, b in zip(state, old, strict=True))
                elif isinstance(state, dict):
                    state = {k: where(on, part, old[k]) for k, part in state.items()}
            hs.append(h)
        return stack(hs), state

    options = {} if lengths is None else {"lengths": lengths}
    assert_same(seen(lambda: run(lambda c, x: unroll(c, x, **options))), seen(lambda: run(plain)))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -0.0])
def test_a_number_that_is_written_anew_at_every_step_is_the_same_number(number: float) -> None:
    def step(c: Any, x: Any, h: Any) -> Tensor:
        return where(h > 10, float(repr(number)), new(c, x, h))

    def run(loop: Any) -> dict[str, Any]:
        cell = Of(step)
        return trained(loop, cell, random(T, B, D), dict(cell.named_parameters()))

    assert_same(run(unroll), run(by_hand))
    assert not is_plain(Of(step), random(T, B, D))


def test_zero_and_minus_zero_are_two_numbers() -> None:
    (_, ys) = scan(lambda h, x: (h + x, (np.array(1.0) * (x * 0.0), x * -0.0)), 0.0, np.ones(2))
    assert [bool(sign) for sign in np.signbit([ys[0].numpy()[0], ys[1].numpy()[0]])] == [False, True]


def test_an_output_of_a_scan_may_be_a_constant() -> None:
    U = Parameter(random(H, H))
    _, (one, weights) = scan(lambda h, x: (tanh(h @ U + x), (1.0, U)), np.zeros((B, H)), random(T, B, H))
    weights.sum().backward()
    assert one.tolist() == [1.0] * T
    assert U.grad.tolist() == np.full((H, H), T).tolist()


# ---------------------------------------------------------------- which of several tensors it is

TOLD_APART: dict[str, Step] = {
    "the first state": lambda c, x, s: (s[0] * 1.0, new(c, x, s[1]) * (2.0 if s[1] is c.first else 1.0)),
    "the first state, by a function": lambda c, x, s: (s[0], new(c, x, s[1]) * (2.0 if operator.is_(s[1], c.first) else 1.0)),
    "a key": lambda c, x, s: (s[0], new(c, x, s[1]) * c.factors.get(s[1], 1.0)),
    "two parts that are one": lambda c, x, s: (s[0] * 1.0, new(c, x, s[1]) * (2.0 if s[0] is s[1] else 1.0)),
    "two parts that become one": lambda c, x, s: (y := new(c, x, s[1]) * (1.0 if s[0] is s[1] else 2.0), y),
    "a parameter that was returned": lambda c, x, s: (s[0] * 1.0, c.U if s[1] is not c.U else c.U * 2.0),
    "two parts that are one, in a set": lambda c, x, s: (s[0] * 1.0, new(c, x, s[1]) * float(len({*s}))),
    "two parts that are one, as keys": lambda c, x, s: (s[0] * 1.0, new(c, x, s[1]) * float(len(dict.fromkeys(s)))),
    "two parts that are one, by hash": lambda c, x, s: (
        s[0] * 1.0, new(c, x, s[1]) * (2.0 if object.__hash__(s[0]) == object.__hash__(s[1]) else 1.0)
    ),
    "two parts that are one, in containers": lambda c, x, s: (
        s[0] * 1.0, new(c, x, s[1]) * (2.0 if equal((s[0],), (s[1],)) else 1.0)
    ),
    "the class of the first state": lambda c, x, s: (
        s[0] * 1.0, new(c, x, s[1]) * (2.0 if isinstance(s[1], Parameter) else 1.0)
    ),
    "the type of the first state": lambda c, x, s: (s[0] * 1.0, new(c, x, s[1]) * (2.0 if type(s[1]) is Tensor else 1.0)),
    "the name of the first state's class": lambda c, x, s: (
        s[0] * 1.0, new(c, x, s[1]) * float(len(s[1].__class__.__name__))
    ),
    "a pattern for the first state": lambda c, x, s: (s[0] * 1.0, new(c, x, s[1]) * weight_of(s[1])),
}  # fmt: skip


def test_a_step_that_asks_for_classes_is_compiled_for_a_state_that_always_has_the_same() -> None:
    h_0, cell = Parameter(random(B, H)), Of(lambda c, x, h: new(c, x, h) * (2.0 if type(h) is Tensor else 1.0))
    for state, plain in ((h_0 * 1.0, False), (h_0, True), (h_0 * 1.0, False)):
        assert explain_loop(unroll, cell, random(T, B, D), state)[0].is_compiled is not plain


def test_the_function_of_a_scan_may_ask_for_classes() -> None:
    weight = {"Parameter": 2.0, "Tensor": 1.0}
    h, _ = scan(lambda h, x: (h + x * weight[h.__class__.__name__], h), Parameter(np.zeros(B)), np.ones((T, B)))
    np.testing.assert_array_equal(h.numpy(), np.full(B, T + 1.0))


def equal(a: Any, b: Any) -> bool:
    """Whether they are, where that can be told: of one tensor and itself it can, whatever its shape."""
    try:
        return bool(a == b)
    except ShapeError:
        return False


def weight_of(state: Any) -> float:
    match state:
        case Parameter():
            return 2.0
    return 1.0


@pytest.mark.parametrize("name", TOLD_APART)
def test_a_step_that_asks_which_tensor_it_was_given_is_run_as_it_is_written(name: str) -> None:
    def run(loop: Any) -> dict[str, Any]:
        first = Parameter(np.full((H, H), 0.1))
        parts = (first, first) if name.startswith("two parts that are one") else (np.zeros((H, H)), first)
        cell = Of(TOLD_APART[name], parts, first=first, factors={first: 2.0})
        return trained(loop, cell, random(T, H, D), dict(cell.named_parameters()))

    assert_same(run(unroll), run(by_hand))


def test_a_step_that_tells_other_things_than_its_tensors_apart_is_compiled() -> None:
    class Drawn(Of):
        pure_step = True

        def __init__(self) -> None:
            super().__init__(new, h_0=Parameter(np.random.default_rng().standard_normal((B, H))))

        def step(self, x: Any, state: Any) -> Tensor:
            return super().step(x, state) if type(x) is Tensor and state is not None else state

    assert not is_plain(Drawn(), random(T, B, D))


# ---------------------------------------------------------------- warnings, and where gradients end


def caught(step: Step) -> Step:
    """A step that does something else where a number overflows, or is not defined, if NumPy is told to raise an error."""

    def trying(c: Any, x: Any, h: Any) -> Tensor:
        try:
            return step(c, x, h)
        except ArithmeticError:
            return new(c, x, h) * 0.5

    return trying


WARNING: dict[str, Step] = {
    "where it is caught": caught(lambda c, x, h: new(c, x, h) + tanh(1.0 / (x[:, :1] * 0.0))),
    "among constants, where it is caught": caught(lambda c, x, h: new(c, x, h) + tanh(1.0 / (c.b * 0.0))),
    "in NumPy, where it is caught": caught(lambda c, x, h: new(c, x, h) + np.tanh(np.ones(H) / np.zeros(H))),
    "at the last step, where it is caught": caught(lambda c, x, h: (log(x[:, :1] + 1.0), new(c, x, h))[1]),
    "among constants": lambda c, x, h: new(c, x, h) + tanh(1.0 / (c.b * 0.0)),
    "in what is not used": lambda c, x, h: (log(x[:, :1] * 0.0), new(c, x, h))[1],
    "in what is not used, at the last step": lambda c, x, h: (log(x[:, :1] + 1.0), new(c, x, h))[1],
    "underflow": lambda c, x, h: new(c, x, h) * 1e-200 * 1e-200,
    "underflow among constants": lambda c, x, h: new(c, x, h) * (c.b * 1e-200 * 1e-200),
}


@pytest.mark.parametrize("name", WARNING)
@pytest.mark.parametrize("setting", ["warn", "ignore", "raise"])
def test_warnings_and_errors_of_numbers_are_those_of_the_plain_loop(name: str, setting: Any) -> None:
    xs = random(T, B, D)
    xs[-1] = -1.0

    def run(loop: Any) -> dict[str, Any]:
        with np.errstate(all=setting):
            return trained(loop, cell := Of(WARNING[name]), xs, dict(cell.named_parameters()))

    assert_same(seen(lambda: run(unroll)), seen(lambda: run(by_hand)))


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_outputs_of_windows_that_nothing_learnt_reaches_require_no_gradient(count: int) -> None:
    def step(c: Any, x: Any, s: Any) -> Any:
        return tanh(x @ c.W.T), s[0] * 0.5

    results = [loop(Of(step, (np.zeros((B, H)),) * 2), random(T, B, D), truncated=count) for loop in (unroll, by_hand)]
    (hs, final), (expected, other) = results
    assert (hs.requires_grad, *[p.requires_grad for p in final]) == (expected.requires_grad, *[p.requires_grad for p in other])


def test_an_initial_state_that_a_derivative_needs_may_not_be_written_to() -> None:
    h = Tensor(np.ones((B, H)), requires_grad=True)
    hs, _ = unroll(Of(lambda c, x, h: sigmoid(h @ c.U.T)), random(T, B, D), h)
    with pytest.raises(MutationError, match="needed for the derivative"):
        h.data[0] = 0.0
    hs.sum().backward()
    h.data[0] = 0.0


def test_a_weight_decay_moves_what_the_plain_loop_moves() -> None:
    def step(c: Any, x: Any, s: Any) -> Any:
        return tanh(s[0] @ c.U.T + x @ c.W.T), concatenate([s[1][:, 1:], where(s[1] > 0, c.b, c.v)[:, :1]], axis=1)

    ends = []
    for loop in (unroll, by_hand):
        cell = Of(step, (np.zeros((B, H)), np.ones((B, H))))
        rule = optim.AdamW(cell.parameters(), lr=0.1, weight_decay=0.5)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            loop(cell, random(T, B, D))[0][0].sum().backward()
        rule.step()
        ends.append({name: parameter.numpy() for name, parameter in cell.named_parameters()})
    assert_same(*ends)


@pytest.mark.parametrize("pure", [True, False])
@pytest.mark.parametrize("reverse", [True, False])
def test_a_step_may_return_arrays(pure: bool, reverse: bool) -> None:
    def run(loop: Any) -> dict[str, Any]:
        cell = Of(lambda c, x, s: (np.ones((B, H)), tanh(s[1] @ c.U.T + s[0])), (Tensor(np.zeros((B, H))),) * 2)
        if not pure:
            cell.step = cell.step  # a promise is made by a class
        return trained(loop, cell, random(T, B, D), dict(cell.named_parameters()), reverse=reverse)

    assert_same(run(unroll), run(by_hand))


# ---------------------------------------------------------------- the initial state, and what is handed on

WIDE: dict[str, Any] = {
    "(1, H)": lambda: Parameter(np.full((1, H), 0.1)),
    "(H,)": lambda: Parameter(np.full(H, 0.1)),
    "a number": lambda: Parameter(0.1),
    "a pair": lambda: (Parameter(np.full((1, H), 0.1)), Tensor(np.full((B, H), 0.2))),
}


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("options", [{}, {"reverse": True, "truncated": 2}], ids=str)
@pytest.mark.parametrize("pure", [True, False])
def test_an_initial_state_may_stand_for_the_whole_batch(name: str, options: Any, pure: bool) -> None:
    def step(c: Any, x: Any, s: Any) -> Any:
        return (s[0] * 0.5 + s[1], new(c, x, s[1]) * s[0]) if isinstance(s, tuple) else tanh(x @ c.W.T + (s * c.U[0]) + c.b)

    def run(loop: Any) -> dict[str, Any]:
        start = WIDE[name]()
        cell = Of(step, start)
        if not pure:
            cell.step = cell.step  # a promise is made by a class
        leaves = dict(cell.named_parameters()) | {"start": start[0] if isinstance(start, tuple) else start}
        return trained(loop, cell, random(T, B, D), leaves, **options)

    assert_same(run(unroll), run(by_hand))


def test_an_initial_state_for_the_whole_batch_waits_for_the_first_step_that_counts() -> None:
    mask = np.arange(T)[:, None] >= np.array([2, 3])
    hs, h = unroll(Of(new, Tensor(np.full((1, H), 0.1))), random(T, B, D), mask=mask)
    full, _ = unroll(Of(new), random(T, B, D), mask=mask)
    np.testing.assert_allclose(hs.numpy(), full.numpy())
    assert h.shape == (B, H)


@pytest.mark.parametrize("shape", [(B + 1, H), (B, 1), (2, B, H)])
def test_no_other_shape_of_a_state_may_change(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="at time step 1: step must return a state like the one it was given"):
        unroll(Of(lambda c, x, h: new(c, x, np.ones((B, H))), Tensor(np.ones(shape))), random(T, B, D))


def test_a_part_of_a_state_that_is_handed_on_keeps_the_shape_that_it_has_in_this_call() -> None:
    class Handing(Module):
        pure_step = True

        def __init__(self) -> None:
            self.W, self.U = Parameter(random(H, D)), Parameter(random(H, H))

        def initial_state(self, batch: int) -> Any:
            return Tensor(np.zeros((batch, H))), Tensor(np.zeros((batch, H)))

        def step(self, x: Any, state: Any) -> Any:
            h, c = state
            return tanh(x @ self.W.T + h @ self.U.T + c), c

    cell = Handing()
    for shape in ((B, H), (1, H)):
        state = Tensor(random(B, H)), Tensor(random(*shape))
        found, expected = (loop(cell, random(T, B, D), state)[0].numpy() for loop in (unroll, by_hand))
        assert found.shape == expected.shape == (T, *shape)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("record", [enable_grad, no_grad])
def test_a_part_of_a_state_that_is_handed_on_is_the_one_that_was_given(record: Any) -> None:
    start = Tensor(np.ones((B, H)), requires_grad=True)
    with record():
        _, (same, _) = unroll(Of(lambda c, x, s: (s[0], new(c, x, s[1]) * s[0]), (start, start)), random(T, B, D))
        carry, _ = scan(lambda c, x: (c, c.sum() + x), start, np.ones(T))
    assert same is carry is start


@pytest.mark.parametrize("truncated", [2, T])
def test_what_is_handed_on_loses_its_history_where_a_window_ends(truncated: int) -> None:
    start = Tensor(np.ones((B, H)), requires_grad=True)
    cell = Of(lambda c, x, s: (s[0], new(c, x, s[1]) * s[0]))
    wants = [loop(cell, random(T, B, D), (start, start), truncated=truncated)[1][0].requires_grad for loop in (unroll, by_hand)]
    assert wants == [truncated == T] * 2


def test_where_no_example_has_a_step_the_state_is_the_one_that_was_given() -> None:
    start = Tensor(np.ones((B, H)))
    hs, h = unroll(Of(new), random(T, B, D), start, lengths=[0, 0])
    assert h is start
    assert not hs.numpy().any()
    assert not hs.requires_grad


def test_underflow_that_is_reported_in_the_backward_pass_alone_is_that_of_the_steps() -> None:
    def run(loop: Any) -> dict[str, Any]:
        cell, start = Of(lambda c, x, h: h * 1e12 * 3.0 * 1e-12 + x[:, :1]), Tensor(np.ones((B, H)), requires_grad=True)
        loss = (loop(cell, random(T, B, D), start)[0] * 1e-300).sum()
        with np.errstate(under="warn"):
            loss.backward()
        return {"start": start.grad}

    assert_same(seen(lambda: run(unroll)), seen(lambda: run(by_hand)))


def test_xs_that_want_no_gradient_may_be_written_to_as_the_plain_loop_copies_their_rows() -> None:
    found = []
    for loop in (unroll, by_hand):
        cell, xs = Of(new), Tensor(random(T, B, D))
        hs, _ = loop(cell, xs)
        xs.data[...] = 0.0
        hs.sum().backward()
        found.append({name: parameter.grad for name, parameter in cell.named_parameters()})
    assert_same(*found)
