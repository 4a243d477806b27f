"""Cells that try to fool a loop: with a promise or without one, they are the loop over their step, or an error says why not."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
from loops_cases import is_compiled
from loops_oracle import assert_same, by_hand, gradients, loss_of, numbers, results_of, seen, trained, unrecorded
from minigrad.models import GRU, LSTM, RNN, Head, RecurrentLayers, unroll
from minigrad.models.recurrent import Cell

import minigrad as mg
from minigrad import Module, Parameter, Tensor, concatenate, grad, no_grad, optim, scan, tanh
from minigrad.errors import GraphError, MinigradError, PurityError
from minigrad.loops.compile import structures
from minigrad.loops.trace import Trace

T, B, D, H = 5, 2, 3, 4
Step = Callable[[Any, Any, Any], Any]


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng([5, *shape]).standard_normal(shape) / 2


class Of(Module):
    """A cell whose step is a function (cell, x, state) ↦ state."""

    def __init__(self, step: Step, pure: bool, start: Callable[[int], Any] | None = None, dtype: Any = float) -> None:
        self.function, self.start, self.log, self.calls, self.gain = step, start, [], 0, 1.0
        shapes = {"W": (H, D), "U": (H, H), "V": (H, H), "E": (7, H), "b": (H,)}
        for name, shape in shapes.items():
            setattr(self, name, Parameter(random(*shape).astype(dtype), name=name))
        self.dtype = dtype

    def initial_state(self, batch: int) -> Any:
        return Tensor(np.full((batch, H), 0.1, self.dtype)) if self.start is None else self.start(batch)

    def step(self, x: Any, state: Any) -> Any:
        return self.function(self, x, state)


class Pure(Of):
    """The same with the promise."""

    pure_step = True


def cell_of(step: Step, pure: bool, *given: Any, **options: Any) -> Of:
    return (Pure if pure else Of)(step, pure, *given, **options)


FLOATS, IDS, MASKS = random(T, B, D), np.arange(T * B).reshape(T, B) % 7, random(T, B, D) > 0


def affine(c: Any, x: Any, h: Any) -> Tensor:
    return x @ c.W.T + h @ c.U.T + c.b


def kept_in_a_generator(c: Any, x: Any, h: Any) -> Tensor:
    rows = (part for part in (h, tanh(affine(c, x, h))))
    next(rows)
    return next(rows)


def nested_scan(c: Any, x: Any, h: Any) -> Tensor:
    last, _ = scan(lambda k, _: (tanh(k @ c.U.T), k), h, length=3)
    return last + x @ c.W.T


def gate_by_gate(c: Any, x: Any, h: Any) -> Tensor:
    return concatenate([tanh(affine(c, x, h)[:, k : k + 1]) for k in range(H)], axis=1)


HONEST: dict[str, tuple[Step, Any]] = {
    "token ids": (lambda c, x, h: tanh(c.E[x] + h @ c.U.T), IDS),
    "token ids, joined with the state": (lambda c, x, h: tanh(concatenate([c.E[x], h], 1) @ concatenate([c.U, c.V], 1).T), IDS),
    "ids that choose an entry of the state": (lambda c, x, h: tanh(h @ c.U.T + h[np.arange(B), x][:, None]), IDS % H),
    "one-hot by comparison": (lambda c, x, h: tanh((x[:, None] == np.arange(7)) @ c.E + h @ c.U.T), IDS),
    "a condition on x": (lambda c, x, h: tanh(mg.where(x > 0, x, 0.1 * x) @ c.W.T + h), FLOATS),
    "a condition on h": (lambda c, x, h: mg.where(h > 0, h * 0.5, tanh(affine(c, x, h))), FLOATS),
    "boolean masks": (lambda c, x, h: tanh(h @ c.U.T + mg.where(x[:, :1], c.b, -c.b)), MASKS),
    "a cast": (lambda c, x, h: tanh(h @ c.U.T + x.astype(float) @ c.W.T), MASKS),
    "a generator": (kept_in_a_generator, FLOATS),
    "another scan": (nested_scan, FLOATS),
    "gate by gate": (gate_by_gate, FLOATS),
    "detach": (lambda c, x, h: tanh(affine(c, x, h.detach())) + 0.5 * h, FLOATS),
    "no_grad inside": (lambda c, x, h: tanh(affine(c, x, h)) * quietly(lambda: h * 2.0), FLOATS),
    "an item": (lambda c, x, h: tanh(affine(c, x, h)) * (1.0 if h.sum().item() > 0 else 0.5), FLOATS),
    "a truth value": (lambda c, x, h: tanh(affine(c, x, h)) * (1.0 if h[0, 0] > 0.05 else 0.5), FLOATS),
    "a float": (lambda c, x, h: tanh(affine(c, x, h)) * float(x[0, 0]), FLOATS),
    "an index": (lambda c, x, h: tanh(h @ c.U.T + c.E[int(x[0])]), IDS),
    "a length": (lambda c, x, h: tanh(affine(c, x, h)) / len(x), FLOATS),
    "requires_grad": (lambda c, x, h: tanh(affine(c, x, h)) * (2.0 if h.requires_grad else 1.0), FLOATS),
    "the data": (lambda c, x, h: tanh(affine(c, x, h)) + h.data.max(), FLOATS),
    "a copy of the numbers": (lambda c, x, h: tanh(affine(c, x, h)) + Tensor(h.numpy()) * 0.1, FLOATS),
    "NumPy's functions": (lambda c, x, h: np.tanh(affine(c, x, h)) * np.exp(-np.square(h)), FLOATS),
    "a list of rows": (lambda c, x, h: mg.stack([tanh(row @ c.U.T) for row in h]) + x @ c.W.T, FLOATS),
    "a name for the state": (lambda c, x, h: tanh(affine(c, x, h.named("old"))), FLOATS),
    "a hook inside": (lambda c, x, h: hooked(tanh(affine(c, x, h))), FLOATS),
    "a weight that nothing uses": (lambda c, x, h: tanh(x @ c.W.T) + h * 0.1, FLOATS),
    "x ignored": (lambda c, x, h: tanh(h @ c.U.T + c.b), FLOATS),
    "h ignored": (lambda c, x, h: tanh(x @ c.W.T), FLOATS),
    "the state as it was": (lambda c, x, h: h, FLOATS),
    "nothing learnt": (lambda c, x, h: h * 0.5 + x[:, :1], FLOATS),
    "a constant array": (lambda c, x, h: tanh(affine(c, x, h) * np.linspace(0.5, 1.0, H)), FLOATS),
    "a new tensor at every step": (lambda c, x, h: tanh(affine(c, x, h) + Tensor(np.ones((B, H)))), FLOATS),
    "a product of two weights": (lambda c, x, h: tanh(x @ c.W.T + h @ (c.U @ c.V)), FLOATS),
    "a weight scaled by its norm": (lambda c, x, h: tanh(x @ c.W.T + h @ (c.U / mg.sqrt((c.U * c.U).sum())).T), FLOATS),
    "normalised": (lambda c, x, h: (a := affine(c, x, h)) / mg.sqrt((a * a).mean(axis=1, keepdims=True) + 1.0), FLOATS),
    "the largest entry": (lambda c, x, h: tanh(affine(c, x, h)) - h.max(axis=1, keepdims=True) * 0.1, FLOATS),
    "a sum of everything": (lambda c, x, h: tanh(affine(c, x, h) + h.sum() * 0.01), FLOATS),
    "the batch reversed": (lambda c, x, h: tanh(affine(c, x, h))[::-1], FLOATS),
    "a reshape": (lambda c, x, h: tanh(affine(c, x, h)).reshape(B * H).reshape(B, H), FLOATS),
    "a transpose": (lambda c, x, h: tanh(c.U @ h.T + c.W @ x.T).T, FLOATS),
    "a power": (lambda c, x, h: tanh(affine(c, x, h)) ** 3 + (1 + h**2) ** 0.5 * 0.1, FLOATS),
    "a number of NumPy's": (lambda c, x, h: tanh(affine(c, x, h) * np.float64(0.5)) - np.int64(1), FLOATS),
}


def quietly(run: Callable[[], Any]) -> Any:
    with no_grad():
        return run()


def hooked(h: Tensor) -> Tensor:
    if h.requires_grad:
        h.register_hook(lambda g: g * 0.5)
    return h


OPTIONS: dict[str, dict[str, Any]] = {
    "": {},
    "reverse": {"reverse": True},
    "truncated": {"truncated": 2},
    "lengths": {"lengths": [5, 3]},
    "lengths, reverse, truncated": {"lengths": [2, 4], "reverse": True, "truncated": 2},
}
OF_THE_WHOLE_BATCH = (
    "an item", "a truth value", "a float", "an index", "a length", "the data", "a sum of everything", "the batch reversed",
    "a new tensor at every step", "a reshape", "ids that choose an entry of the state", "requires_grad",
)  # fmt: skip
"""Those whose examples are not independent, so that the oracle cannot take them one by one."""


@pytest.mark.parametrize("name", HONEST)
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("wants_xs", [False, True])
def test_a_step_is_what_a_plain_loop_makes_of_it(name: str, option: str, wants_xs: bool) -> None:
    step, given = HONEST[name]
    if "lengths" in OPTIONS[option] and name in OF_THE_WHOLE_BATCH:
        return

    def run(loop: Any, pure: bool) -> dict[str, Any]:
        cell = cell_of(step, pure)
        xs = Tensor(given, requires_grad=wants_xs and given.dtype.kind == "f")
        leaves = dict(cell.named_parameters()) | ({"xs": xs} if xs.requires_grad else {})
        return trained(loop, cell, xs, leaves, **OPTIONS[option])

    expected = seen(lambda: run(by_hand, False))
    for pure in (False, True):
        for _ in range(2):
            assert_same(seen(lambda pure=pure: run(unroll, pure)), expected)


def test_most_honest_steps_are_compiled() -> None:
    compiled = [is_compiled(unroll(cell_of(step, True), given)[0]) for step, given in HONEST.values()]
    assert sum(compiled) > 0.5 * len(HONEST)


# ---------------------------------------------------------------- broken promises

COUNTER = {"calls": 0}
GENERATOR = np.random.default_rng(0)
SCALE = 1.0


def hidden() -> Any:
    """A queue under a name that is put together as the step runs: nothing shows that a step uses it."""
    return getattr(math, "".join(("un", "seen")))

"""What it holds cannot be seen without taking it."""


def counted(c: Any, x: Any, h: Any) -> Tensor:
    c.calls += 1
    return tanh(affine(c, x, h)) * float(c.calls)


def counted_globally(c: Any, x: Any, h: Any) -> Tensor:
    COUNTER["calls"] += 1
    return tanh(affine(c, x, h)) * COUNTER["calls"]


def of_a_changing_global(c: Any, x: Any, h: Any) -> Tensor:
    global SCALE
    SCALE *= 0.9
    return tanh(affine(c, x, h)) * SCALE


def noisy(c: Any, x: Any, h: Any) -> Tensor:
    return tanh(affine(c, x, h)) + GENERATOR.standard_normal((B, H))


def of_its_time(c: Any, x: Any, h: Any) -> Tensor:
    return tanh(affine(c, x, h)) * float(mg.current_place().time or 0)


def a_history(c: Any, x: Any, h: Any) -> Tensor:
    c.log.append(tanh(affine(c, x, h)))
    return c.log[0] + c.log[-1]


def an_attribute(c: Any, x: Any, h: Any) -> Tensor:
    object.__setattr__(c, "latest", tanh(affine(c, x, h)))
    return c.latest * 0.5


def a_changing_attribute(c: Any, x: Any, h: Any) -> Tensor:
    c.gain = c.gain * 0.5
    return tanh(affine(c, x, h)) * c.gain


def a_changing_array(c: Any, x: Any, h: Any) -> Tensor:
    COUNTER["calls"] += 1
    return tanh(affine(c, x, h)) * np.full(H, COUNTER["calls"])


def another_operation_later(c: Any, x: Any, h: Any) -> Tensor:
    COUNTER["calls"] += 1
    return tanh(affine(c, x, h)) if COUNTER["calls"] < 2 else mg.sigmoid(affine(c, x, h))


def another_order_later(c: Any, x: Any, h: Any) -> Tensor:
    COUNTER["calls"] += 1
    return tanh(x @ c.W.T) - h if COUNTER["calls"] < 2 else h - tanh(x @ c.W.T)


def a_weight_that_changes(c: Any, x: Any, h: Any) -> Tensor:
    COUNTER["calls"] += 1
    return tanh(x @ c.W.T + h @ (c.U if COUNTER["calls"] < 2 else c.V).T)


def reads_later(c: Any, x: Any, h: Any) -> Tensor:
    COUNTER["calls"] += 1
    return tanh(affine(c, x, h)) * (1.0 if COUNTER["calls"] < 2 else float(h[0, 0]))


def raises_later(c: Any, x: Any, h: Any) -> Tensor:
    COUNTER["calls"] += 1
    if COUNTER["calls"] > 1:
        raise ValueError("later")
    return tanh(affine(c, x, h))


def taken_from_a_queue(c: Any, x: Any, h: Any) -> Tensor:
    return tanh(affine(c, x, h)) * int(hidden().get())


def an_array_from_a_queue(c: Any, x: Any, h: Any) -> Tensor:
    return tanh(affine(c, x, h)) * np.full(H, int(hidden().get()))


def another_operation_by_a_queue(c: Any, x: Any, h: Any) -> Tensor:
    return tanh(affine(c, x, h)) if hidden().get() == "1" else mg.sigmoid(affine(c, x, h))


def with_dropout(c: Any, x: Any, h: Any) -> Tensor:
    return mg.dropout(tanh(affine(c, x, h)), 0.5, GENERATOR)


IMPURE: dict[str, Step] = {
    step.__name__: step
    for step in (
        counted, counted_globally, of_a_changing_global, noisy, of_its_time, a_history, an_attribute, a_changing_attribute,
        a_changing_array, another_operation_later, another_order_later, a_weight_that_changes, reads_later, raises_later,
        taken_from_a_queue, an_array_from_a_queue, another_operation_by_a_queue, with_dropout,
    )
}  # fmt: skip


def begin_anew() -> None:
    global SCALE, GENERATOR
    COUNTER["calls"], SCALE, GENERATOR = 0, 1.0, np.random.default_rng(0)
    math.unseen = SimpleQueue()  # type: ignore[attr-defined]
    for number in "123456789":
        hidden().put(number)


@pytest.mark.parametrize("name", IMPURE)
@pytest.mark.parametrize("count", [2, 3, 7])
def test_a_step_that_is_not_pure_is_run_as_it_is_written_or_the_broken_promise_is_an_error(name: str, count: int) -> None:
    def run(loop: Any, pure: bool) -> dict[str, Any]:
        begin_anew()
        cell = cell_of(IMPURE[name], pure)
        found = trained(loop, cell, random(count, B, D), dict(cell.named_parameters()))
        return found | {"calls": cell.calls}

    expected = seen(lambda: run(by_hand, False))
    assert_same(seen(lambda: run(unroll, False)), expected)
    promised = seen(lambda: run(unroll, True))
    if promised.get("error") != "PurityError":
        promised["calls"] = expected.get("calls")  # whoever promises does not count
        if promised["calls"] is None:
            del promised["calls"]
        assert_same(promised, expected)


@pytest.mark.parametrize("name", ["taken_from_a_queue", "an_array_from_a_queue", "another_operation_by_a_queue"])
def test_the_error_says_what_was_seen_and_what_to_do(name: str) -> None:
    begin_anew()
    with pytest.raises(PurityError, match="must be pure") as error:
        unroll(cell_of(IMPURE[name], True), random(5, B, D))
    assert "promise" in str(error.value)


def test_what_another_thread_forgets_meanwhile_breaks_no_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(*given: Any) -> Trace:
        structures.clear()
        return Trace(*given)

    monkeypatch.setattr("minigrad.loops.purity.prove.Trace", forgetful)
    assert is_compiled(unroll(cell_of(lambda c, x, h: tanh(affine(c, x, h)), True), random(5, B, D))[0])


def test_a_tensor_that_a_step_leaves_where_it_cannot_be_undone_is_a_broken_promise() -> None:
    begin_anew()

    def step(c: Any, x: Any, h: Any) -> Tensor:
        hidden().put(tanh(affine(c, x, h)))
        return tanh(affine(c, x, h))

    with pytest.raises(PurityError, match="were still referred to from outside"):
        unroll(cell_of(step, True), random(5, B, D))


def test_another_weight_with_the_same_values_is_another_weight() -> None:
    begin_anew()
    cell = cell_of(lambda c, x, h: tanh(x @ c.W.T + h @ (c.U if hidden().get() == "1" else c.V).T), True)
    cell.V.data = cell.U.numpy()
    with pytest.raises(PurityError, match="is not the same at its first and at its last step"):
        unroll(cell, random(5, B, D))


@pytest.mark.parametrize("name", IMPURE)
def test_a_broken_promise_leaves_nothing_behind(name: str) -> None:
    begin_anew()
    cell = cell_of(IMPURE[name], True)
    seen(lambda: trained(unroll, cell, random(5, B, D), dict(cell.named_parameters())))
    cell.log.clear()
    x = Tensor(np.ones(2), requires_grad=True)
    assert (x * x).node.place.time is None
    for parameter in cell.parameters():
        parameter.grad = None
    if name not in ("an_attribute", "a_history"):
        for parameter in cell.parameters():
            parameter.data[...] = 0.0


# ---------------------------------------------------------------- what else was wrong once


def test_an_overridden_step_is_what_runs_hoisted_in_layers_and_in_a_language_model() -> None:
    class Halved(RNN):
        def step(self, x: Any, h: Any) -> Any:
            return super().step(x, h) * 0.5

    cell = Halved(D, H, seed=0)
    right = by_hand(cell, FLOATS)[0].numpy()
    for hs in (unroll(cell, FLOATS)[0], unroll(cell, FLOATS, hoist=True)[0], RecurrentLayers([cell])(FLOATS)[0]):
        np.testing.assert_allclose(hs.numpy(), right, rtol=1e-12)
    cell.step = lambda x, h: RNN.step(cell, x, h) * 0.25
    for hs in (unroll(cell, FLOATS)[0], unroll(cell, FLOATS, hoist=True)[0], RecurrentLayers([cell])(FLOATS)[0]):
        np.testing.assert_allclose(hs.numpy(), by_hand(cell, FLOATS)[0].numpy(), rtol=1e-12)


@pytest.mark.parametrize("last", ["as it is", "padding"])
@pytest.mark.parametrize("rows", [1, 2, 4])
def test_a_projection_that_mixes_what_belongs_to_several_steps_is_not_hoisted(rows: int, last: str) -> None:
    class Centred(RNN):
        def project(self, x: Any) -> Any:
            return super().project(x - x.mean(axis=0, keepdims=True))

    xs = np.random.default_rng(0).standard_normal((T, rows, D))
    if last == "padding":
        xs[2:] = 0.0
    cell = Centred(D, H, seed=0)
    found, right = unroll(cell, xs, hoist=True)[0], by_hand(cell, xs)[0]
    np.testing.assert_allclose(found.numpy(), right.numpy(), rtol=1e-12)


def test_weights_that_are_exchanged_in_the_dict_of_a_cell_are_used() -> None:
    for kind in (RNN, GRU, LSTM):
        cell = kind(D, H, seed=0)
        unroll(cell, FLOATS)
        cell.__dict__.update({name: Parameter(p.numpy() * 0.5, name=name) for name, p in cell.named_parameters()})
        leaves = dict(cell.named_parameters())
        found = trained(unroll, cell, FLOATS, leaves)
        for leaf in leaves.values():
            leaf.grad = None
        assert_same(found, trained(by_hand, cell, FLOATS, leaves))


def test_code_that_is_exchanged_in_place_and_attributes_of_the_class_are_what_runs() -> None:
    class Mine(Cell[Tensor]):
        label, pure_step, gain = "mine", True, 1.0

        def __init__(self) -> None:
            super().__init__(H, H)
            self.W = Parameter(random(H, H), name="W")

        def initial_state(self, batch: int) -> Tensor:
            return self._zeros(batch, "h")

        def project(self, x: Tensor) -> Tensor:
            return x * 1.0

        def recur(self, wx: Tensor, h: Tensor) -> Tensor:
            return tanh(wx * self.gain + h @ self.W.T)

    def edited(self: Any, wx: Tensor, h: Tensor) -> Tensor:
        return tanh(wx * self.gain + 0.1 * (h @ self.W.T))

    cell, xs = Mine(), random(T, B, H)
    for change in (
        lambda: None,
        lambda: setattr(Mine, "gain", 0.5),
        lambda: setattr(Mine.recur, "__code__", edited.__code__),
        lambda: setattr(Mine, "recur", lambda self, wx, h: wx - h),
    ):
        change()
        for hoist in (False, True):
            np.testing.assert_allclose(unroll(cell, xs, hoist=hoist)[0].numpy(), by_hand(cell, xs)[0].numpy(), rtol=1e-12)


@pytest.mark.parametrize("start", ["array", "pair of arrays", "list", "dict", "named"])
def test_a_state_may_be_arrays_lists_and_dicts(start: str) -> None:
    half: dict[str, Callable[[int], Any]] = {
        "array": lambda batch: np.zeros((batch, H)),
        "pair of arrays": lambda batch: (np.ones((batch, H)), np.zeros((batch, H))),
        "list": lambda batch: [Tensor(np.ones((batch, H))), np.zeros((batch, H))],
        "dict": lambda batch: {"c": np.ones((batch, H)), "h": Tensor(np.zeros((batch, H)))},
        "named": lambda batch: LSTM(D, H).initial_state(batch),
    }

    def step(c: Any, x: Any, state: Any) -> Any:
        if start == "array":
            return tanh(affine(c, x, mg.Tensor(state) if isinstance(state, np.ndarray) else state))
        memory, h = state.values() if start == "dict" else state
        memory = memory * 0.5 + x @ c.W.T
        h = tanh(memory + c.b * h)
        if start == "dict":
            return {"c": memory, "h": h}
        return type(state)(memory, h) if start == "named" else type(state)([memory, h])

    def run(loop: Any, pure: bool) -> dict[str, Any]:
        cell = cell_of(step, pure, half[start])
        return trained(loop, cell, FLOATS, dict(cell.named_parameters()))

    expected = seen(lambda: run(by_hand, False))
    assert "error" not in expected
    for pure in (False, True):
        assert_same(seen(lambda pure=pure: run(unroll, pure)), expected)


def test_weights_may_be_results_of_other_computations() -> None:
    """As in meta-learning: the weights of the cell are what a step of descent made of the true ones."""

    def run(loop: Any, pure: bool) -> dict[str, Any]:
        class Free:
            pure_step = pure

            def __init__(self, W: Tensor, U: Tensor) -> None:
                self.W, self.U = W, U

            def initial_state(self, batch: int) -> Any:
                return Tensor(np.zeros((batch, H)))

            def step(self, x: Any, h: Any) -> Any:
                return tanh(x @ self.W.T + h @ self.U.T)

        given = {"W": Tensor(random(H, D), requires_grad=True), "U": Tensor(random(H, H), requires_grad=True)}
        inner = loss_of(results_of(loop(Free(**given), FLOATS)))
        steps = grad(inner, list(given.values()), create_graph=True)
        cell = Free(*[p - 0.1 * g for p, g in zip(given.values(), steps, strict=True)])
        loss_of(results_of(loop(cell, FLOATS))).backward()
        return gradients(given)

    expected = run(by_hand, False)
    for pure in (False, True):
        assert_same(run(unroll, pure), expected, 1e-9)


def test_two_recurrences_in_one_state_are_independent() -> None:
    def step(c: Any, x: Any, state: Any) -> Any:
        return tanh(state[0] @ c.V + x[:, :1]), tanh(x @ c.W.T + state[1] @ c.U.T)

    def start(batch: int) -> Any:
        return Tensor(np.ones((batch, H))), Tensor(np.zeros((batch, H)))

    def run(loop: Any, pure: bool) -> dict[str, Any]:
        cell = cell_of(step, pure, start)
        leaves = dict(cell.named_parameters())
        results = results_of(loop(cell, FLOATS))
        loss_of(results, ["hs", "final 1"]).backward()
        found = numbers(results) | gradients(leaves)
        optim.AdamW(cell.parameters(), lr=0.1, weight_decay=0.1).step()
        found |= {f"{name} then": leaf.numpy() for name, leaf in leaves.items() if name != "V"}
        return found | {"V then": cell.V.numpy()}

    expected = seen(lambda: run(by_hand, False))
    assert expected["d V"] is None
    for pure in (False, True):
        assert_same(seen(lambda pure=pure: run(unroll, pure)), expected)


def test_the_other_recurrence_of_a_state_has_its_own_backward_pass_afterwards() -> None:
    def step(c: Any, x: Any, state: Any) -> Any:
        return tanh(state[0] @ c.V), tanh(x @ c.W.T + state[1] @ c.U.T)

    def run(loop: Any, pure: bool) -> dict[str, Any]:
        cell = cell_of(step, pure, lambda batch: (Tensor(np.ones((batch, H))), Tensor(np.zeros((batch, H)))))
        hs, final = loop(cell, FLOATS)
        hs.sum().backward()
        (final[0] * 2.0).sum().backward()
        return gradients(dict(cell.named_parameters()))

    expected = run(by_hand, False)
    assert_same(run(unroll, False), expected)
    assert_same(run(unroll, True), expected)


def test_a_part_of_a_state_that_nothing_learnt_reaches_requires_no_gradient_and_holds_no_parameter() -> None:
    def step(c: Any, x: Any, state: Any) -> Any:
        return state[0] * 0.5, tanh(x @ c.W.T + state[1] @ c.U.T)

    for pure in (False, True):
        cell = cell_of(step, pure, lambda batch: (Tensor(np.ones((batch, H))), Tensor(np.zeros((batch, H)))))
        _, (c, h) = unroll(cell, FLOATS)
        assert (c.requires_grad, h.requires_grad) == (False, True)
        cell.V.data[...] = 0.0
        cell.b.data[...] = 0.0


def test_xs_that_want_a_gradient_and_a_step_that_ignores_them() -> None:
    def run(loop: Any, pure: bool) -> dict[str, Any]:
        cell = cell_of(lambda c, x, h: h * 0.5, pure)
        xs = Tensor(FLOATS, requires_grad=True)
        return trained(loop, cell, xs, {"xs": xs})

    expected = seen(lambda: run(by_hand, False))
    assert expected["error"] == "GraphError"
    for pure in (False, True):
        assert_same(seen(lambda pure=pure: run(unroll, pure)), expected)


@pytest.mark.parametrize(("dtype", "x", "c", "scale"), [(np.float16, 300.0, 1e-3, 0.01), (np.float32, 1e20, 1e-30, 1e-15)])
def test_factors_are_not_multiplied_ahead_where_that_overflows(dtype: Any, x: float, c: float, scale: float) -> None:
    def run(loop: Any, pure: bool) -> dict[str, Any]:
        class Steep:
            pure_step = pure

            def __init__(self) -> None:
                self.c = Tensor(np.full((1, 1), c, dtype), requires_grad=True)

            def initial_state(self, batch: int) -> Any:
                return Tensor(np.full((batch, 1), 0.5, dtype))

            def step(self, x: Any, h: Any) -> Any:
                return (tanh(h) * self.c) * x * x

        cell = Steep()
        hs, _ = loop(cell, np.full((3, 1, 1), x, dtype))
        (hs * dtype(scale)).sum().backward()
        return {"c": cell.c.grad, "hs": hs.numpy()}

    expected = run(by_hand, False)
    assert np.isfinite(expected["c"]).all()
    for pure in (False, True):
        assert_same(run(unroll, pure), expected, 1e-2 if dtype is np.float16 else 1e-5)


@pytest.mark.parametrize("setting", ["warn", "raise", "ignore"])
@pytest.mark.parametrize(
    "step",
    [
        lambda c, x, h: mg.sigmoid(h) * mg.exp(h * h * 1e3 + 700.0),
        lambda c, x, h: mg.sigmoid(x @ c.W.T * 1e5) * (h * 0.5),
        lambda c, x, h: h / (h - h) + mg.sigmoid(h),
        lambda c, x, h: mg.log(h - h) * mg.sigmoid(h),
        lambda c, x, h: mg.sqrt(-h),
        lambda c, x, h: (h * 1e200) * 1e200,
    ],
)
def test_warnings_are_those_of_the_steps(setting: Any, step: Step) -> None:
    def run(loop: Any, pure: bool) -> dict[str, Any]:
        cell = cell_of(step, pure)
        with np.errstate(all=setting, under="ignore"):
            return trained(loop, cell, FLOATS, dict(cell.named_parameters()))

    expected = seen(lambda: run(by_hand, False))
    for pure in (False, True):
        found = seen(lambda pure=pure: run(unroll, pure))
        assert (found.get("error"), found["warnings"]) == (expected.get("error"), expected["warnings"])
        if "error" not in expected:
            np.testing.assert_array_equal(np.isnan(found["hs"]), np.isnan(expected["hs"]))


def test_a_loop_with_a_sigmoid_does_not_silence_what_overflows_beside_it() -> None:
    cell = cell_of(lambda c, x, h: mg.sigmoid(x @ c.W.T * 0.0 - 1e5) + h * 1e200, True)
    with pytest.warns(RuntimeWarning, match="overflow"):
        unroll(cell, FLOATS)


def test_gates_that_saturate_warn_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in (GRU, LSTM):
            hs, _ = unroll(kind(D, H, seed=0), FLOATS * 1e5)
            hs.sum().backward()
            assert is_compiled(hs)


@pytest.mark.parametrize("count", [0, 1, 2, 65, 1000])
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_any_number_of_steps_and_examples(count: int, batch: int) -> None:
    def step(c: Any, x: Any, h: Any) -> Tensor:
        return tanh(affine(c, x, h)) * 0.9 + 0.05 * h

    if count == 0:
        hs, _ = unroll(cell_of(step, True), np.zeros((0, batch, D)))
        assert hs.shape == (0, batch, H)
        return

    def run(loop: Any, pure: bool) -> dict[str, Any]:
        cell = cell_of(step, pure)
        xs = Tensor(random(count, batch, D), requires_grad=True)
        return trained(loop, cell, xs, dict(cell.named_parameters()) | {"xs": xs})

    expected = run(by_hand, False)
    for pure in (False, True):
        assert_same(run(unroll, pure), expected, 1e-9)


@pytest.mark.parametrize("kind", [RNN, GRU, LSTM])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_any_dtype(kind: Any, dtype: Any) -> None:
    def run(loop: Any) -> dict[str, Any]:
        cell = kind(D, H, seed=0)
        for name, p in cell.named_parameters():
            setattr(cell, name, Parameter(p.numpy().astype(dtype), name=name))
        return trained(loop, cell, FLOATS.astype(dtype), dict(cell.named_parameters()))

    assert_same(run(unroll), run(by_hand), {2: 2e-2, 4: 1e-5, 8: 1e-12}[np.dtype(dtype).itemsize])


def test_a_state_without_columns() -> None:
    for pure in (False, True):
        cell = cell_of(lambda c, x, h: h + x[:, :0], pure, lambda batch: Tensor(np.zeros((batch, 0))))
        assert unroll(cell, FLOATS)[0].shape == (T, B, 0)


@pytest.mark.parametrize(
    "step",
    [
        lambda c, x, h: concatenate([h, h], axis=1),
        lambda c, x, h: None,
        lambda c, x, h: h @ c.W,
        lambda c, x, h: (h, h),
        lambda c, x, h: h.astype("float32"),
        lambda c, x, h: 1 / 0,
        lambda c, x, h: c.nothing,
        lambda c, x, h: h[:, 9],
        lambda c, x, h: (h if float(x[0, 0]) < 100.0 else 1 / 0),
    ],
)
@pytest.mark.parametrize("option", ["", "reverse", "truncated"])
def test_errors_of_a_step_are_the_same_with_and_without_a_promise(step: Step, option: str) -> None:
    found = []
    for pure in (False, True):
        cell = cell_of(step, pure)
        try:
            hs, _ = unroll(cell, FLOATS, **OPTIONS[option])
            found.append(hs.dtype)
        except Exception as error:
            found.append((type(error), str(error).replace("Pure", "Of")))
    assert found[0] == found[1]


@pytest.mark.parametrize("at", [1, 3, T])
def test_a_step_that_raises_at_one_time_only_raises_there(at: int) -> None:
    xs = np.zeros((T, B), int)
    xs[at - 1] = 99  # no row of E
    for pure in (False, True):
        cell = cell_of(lambda c, x, h: tanh(c.E[x] + h @ c.U.T), pure)
        with pytest.raises(MinigradError) as error:
            unroll(cell, xs)
        assert "99" in str(error.value)
        del error
        for parameter in cell.parameters():
            parameter.data[...] = 0.0


def test_frozen_weights_may_be_thawed_and_others_frozen_from_call_to_call() -> None:
    def run(loop: Any, cell: Any) -> dict[str, Any]:
        found = {}
        for number, frozen in enumerate((("W",), (), ("U", "b"), ("W", "U", "b", "V", "E"), ())):
            for name, p in cell.named_parameters():
                p.requires_grad = name not in frozen
                p.grad = None
            results = results_of(loop(cell, FLOATS))
            if results["hs"].requires_grad:
                loss_of(results).backward()
            everything = numbers(results) | gradients(dict(cell.named_parameters()))
            found |= {f"{number} {name}": value for name, value in everything.items()}
        return found

    def step(c: Any, x: Any, h: Any) -> Tensor:
        return tanh(affine(c, x, h))

    expected = run(by_hand, cell_of(step, False))
    for pure in (False, True):
        assert_same(run(unroll, cell_of(step, pure)), expected)


def test_a_state_that_is_carried_on_has_the_history_of_all_calls() -> None:
    def run(loop: Any, pure: bool, cut: bool) -> dict[str, Any]:
        cell = cell_of(lambda c, x, h: tanh(affine(c, x, h)), pure)
        state, losses = cell.initial_state(B), []
        for k in range(3):
            hs, final = loop(cell, FLOATS * (k + 1.0), state)
            (state,) = final if isinstance(final, list) else (final,)
            state = state.detach() if cut else state
            losses.append((hs * hs).sum())
        sum(losses).backward()
        return gradients(dict(cell.named_parameters())) | {"state": state.numpy()}

    for cut in (False, True):
        expected = run(by_hand, False, cut)
        for pure in (False, True):
            assert_same(run(unroll, pure, cut), expected)


def test_carrying_on_a_state_whose_graph_was_released_is_an_error_that_says_to_detach() -> None:
    for kind in (RNN, LSTM):
        cell = kind(D, H, seed=0)
        _, state = (hs := unroll(cell, FLOATS))
        hs[0].sum().backward()
        later, _ = unroll(cell, FLOATS, state)
        with pytest.raises(GraphError, match="detach"):
            later.sum().backward()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("padding", [1, 2])
def test_padding_changes_no_window_of_truncation(reverse: bool, padding: int) -> None:
    def run(more: int) -> dict[str, Any]:
        cell, xs = RNN(D, H, seed=0), np.concatenate([random(6, B, D), np.zeros((more, B, D))])
        hs, _ = unroll(cell, xs, lengths=[6, 6], reverse=reverse, truncated=4)
        (hs * hs).sum().backward()
        return gradients(dict(cell.named_parameters()))

    assert_same(run(padding), run(0))


@pytest.mark.parametrize("lengths", [[0, 0], [0, 1], [1, 0], [5, 0], [3, 3]])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", [RNN, LSTM])
def test_examples_of_no_steps(lengths: list[int], reverse: bool, kind: Any) -> None:
    def run(loop: Any, cell: Any) -> dict[str, Any]:
        xs = Tensor(FLOATS, requires_grad=True)
        return trained(loop, cell, xs, dict(cell.named_parameters()) | {"xs": xs}, lengths=lengths, reverse=reverse)

    expected = seen(lambda: run(by_hand, kind(D, H, seed=0)))
    assert_same(seen(lambda: run(unroll, kind(D, H, seed=0))), expected)


def test_what_lies_beyond_a_length_is_never_looked_at() -> None:
    found = []
    for junk in (0.0, np.nan, np.inf):
        cell, xs = cell_of(lambda c, x, h: tanh(affine(c, x, h)), True), FLOATS.copy()
        xs[3:, 1] = junk
        xs = Tensor(xs, requires_grad=True)
        found.append(trained(unroll, cell, xs, dict(cell.named_parameters()) | {"xs": xs}, lengths=[5, 3]))
    assert_same(found[1], found[0])
    assert_same(found[2], found[0])


def test_under_no_grad_the_numbers_are_the_same_and_nothing_is_recorded() -> None:
    for name, (step, given) in HONEST.items():
        expected = unrecorded(by_hand, cell_of(step, False), given, {})
        assert_same(unrecorded(unroll, cell_of(step, True), given, {}), expected)
        assert not expected["hs wants"], name


def test_a_loop_inside_a_step_of_a_loop() -> None:
    def run(loop: Any, pure: bool) -> dict[str, Any]:
        inner = RNN(D, H, seed=0)

        def step(c: Any, x: Any, h: Any) -> Any:
            hs, _ = loop(inner, mg.stack([x, x * 0.5]), h)
            return hs[1]

        cell = cell_of(step, pure)
        return trained(loop, cell, FLOATS, dict(inner.named_parameters()))

    expected = run(by_hand, False)
    for pure in (False, True):
        assert_same(run(unroll, pure), expected)


def test_a_head_on_top_and_a_table_below() -> None:
    def run(loop: Any) -> dict[str, Any]:
        cell, head, table = LSTM(D, H, seed=0), Head(H, 3, seed=0), Parameter(random(7, D))
        head.loss(loop(cell, table[IDS])[0], IDS % 3).backward()
        return gradients(dict(cell.named_parameters()) | dict(head.named_parameters()) | {"table": table})

    assert_same(run(unroll), run(by_hand))
