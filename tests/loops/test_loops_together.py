"""Two features at once: what one leaves behind, the other must find as the plain loop leaves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from loops_cases import is_compiled, plainly
from loops_oracle import assert_same, gradients, loss_of, results_of, seen
from minigrad.models import GRU, LSTM, unroll
from minigrad.models.states import parts_of

from minigrad import Module, Parameter, Tensor, enable_grad, explain_loop, grad, no_grad, scan, tanh, walk
from minigrad.errors import GraphError, MinigradError

T, B, D, H = 5, 2, 3, 4
XS = np.random.default_rng(7).standard_normal((T, B, D))
HOLES = np.array([[True, False], [False, True], [True, False], [True, True], [False, True]])
OPTIONS: dict[str, dict[str, Any]] = {
    "": {},
    "truncated": {"truncated": 2},
    "lengths": {"lengths": [5, 3]},
    "lengths, truncated": {"lengths": [3, 5], "truncated": 2},
    "holes, reverse": {"mask": HOLES, "reverse": True},
    "no step of all": {"mask": HOLES[:3]},
}
every_option = pytest.mark.parametrize("option", OPTIONS)


def both(run: Callable[[], dict[str, Any]]) -> None:
    """The same is seen of what was compiled and of the plain loop."""
    found = seen(run)
    with plainly():
        assert_same(found, seen(run))


def unrolled(option: str, xs: Any = XS, cell: Any = None, **options: Any) -> tuple[Any, Tensor, Any]:
    cell = LSTM(D, H, seed=0) if cell is None else cell
    hs, final = unroll(cell, xs[: len(OPTIONS[option].get("mask", XS))], **OPTIONS[option], **options)
    return cell, hs, final


# ---------------------------------------------------------------- hooks, where a backward pass goes through the single steps


def halved(tensor: Any, count: list[int]) -> None:
    def hook(g: Any) -> Any:
        count[0] += 1
        return g * 0.5

    tensor.register_hook(hook)


@pytest.mark.parametrize("create_graph", [False, True])
@every_option
def test_a_hook_on_what_a_loop_reads_is_called_once(option: str, create_graph: bool) -> None:
    def run() -> dict[str, Any]:
        cell, count = LSTM(D, H, seed=0), [0]
        below, x_0 = tanh(Tensor(XS, requires_grad=True)), Tensor(np.ones((B, H)), requires_grad=True)
        first = cell.initial_state(B)._replace(h=x_0)
        for watched in (cell.W_x, cell.b, below, x_0):
            halved(watched, count)
        _, hs, final = unrolled(option, below, cell, state=first)
        wanted = [cell.W_x, cell.W_h, cell.b, below, x_0]
        found = grad(loss_of(results_of((hs, final))), wanted, create_graph=create_graph)
        return {"calls": count[0]} | {str(k): g.numpy() for k, g in enumerate(found)}

    both(run)


def test_a_hook_is_called_once_where_the_gradient_overflows() -> None:
    def run() -> dict[str, Any]:
        cell, count = GRU(D, H, seed=0), [0]
        halved(cell.W_x, count)
        hs, _ = unroll(cell, XS)
        with np.errstate(all="ignore"):
            hs.backward(np.full(hs.shape, 1e308))
        return {"calls": count[0]} | gradients(dict(cell.named_parameters()))

    both(run)


def test_a_hook_on_a_weight_that_a_step_uses_twice_is_called_once() -> None:
    def run() -> dict[str, Any]:
        cell, count = Starting(lambda c, x, h: tanh(x @ c.W.T + tanh(h @ c.U.T) @ c.U.T), Tensor(FIRST)), [0]
        halved(cell.U, count)
        hs, _ = unroll(cell, XS)
        loss_of({"hs": hs}).backward()
        return {"calls": count[0]} | gradients(dict(cell.named_parameters()))

    both(run)


# ---------------------------------------------------------------- several passes, to one part after the other


class Two(Module):
    """Two recurrences beside each other."""

    pure_step = True

    def __init__(self) -> None:
        self.W, self.U, self.V = (Parameter(np.random.default_rng(n).standard_normal((H, n)) / 2) for n in (D, H, H))

    def initial_state(self, batch: int) -> Any:
        return Tensor(np.full((batch, H), 0.1)), Tensor(np.full((batch, H), 0.2))

    def step(self, x: Any, state: Any) -> Any:
        return tanh(state[0] @ self.V.T + x @ self.W.T), tanh(state[1] @ self.U.T)


def outcome(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except GraphError:
        return "GraphError"


@pytest.mark.parametrize("order", ["hV hU hV hU", "hU hV hU", "cU cV cU", "hV cV", "cV hU", "hU cV hV cU"])
def test_of_two_recurrences_a_pass_releases_the_one_that_it_goes_through(order: str) -> None:
    def run() -> dict[str, Any]:
        cell = Two()
        hs, (c, _) = unroll(cell, XS)
        results = {"h": hs, "c": c}
        passes = [(results[result], getattr(cell, name)) for result, name in order.split()]
        return {f"{k}": outcome(lambda y=y, p=p: grad(y.sum(), [p])[0].numpy()) for k, (y, p) in enumerate(passes)}

    both(run)


class Delayed(Two):
    """What one part is at one step, the other reads at the next."""

    pure_step = True

    def step(self, x: Any, state: Any) -> Any:
        return x @ self.W.T, tanh(state[0] + state[1] @ self.U.T)


@pytest.mark.parametrize("order", ["ch", "hc", "c hs", "h hs", "hs c", "hs h", "c h c", "hs c h"])
@pytest.mark.parametrize("option", OPTIONS)
def test_what_a_pass_goes_through_at_one_step_is_there_at_others(option: str, order: str) -> None:
    def run() -> dict[str, Any]:
        cell = Delayed()
        _, hs, (c, h) = unrolled(option, cell=cell)
        results = {"hs": hs, "c": c, "h": h}
        left = {}
        for k, name in enumerate(order.split() if " " in order else order):
            left[str(k)] = outcome(lambda name=name: loss_of({name: results[name]}).backward())
        return left | gradients(dict(cell.named_parameters()))

    both(run)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("order", ["bh", "hb", "ab", "ba", "ah", "ha"])
@pytest.mark.parametrize("option", ["", "lengths"])
def test_passes_do_not_meet_where_something_is_only_handed_on(option: str, order: str, steps: int) -> None:
    def run() -> dict[str, Any]:
        first = tuple(Tensor(FIRST + k, requires_grad=True) for k in range(3))
        cell = Starting(lambda c, x, state: (state[2], state[0] * state[2], state[0]), first)
        hs, (a, b, _) = unroll(cell, XS[:steps], lengths=[steps, steps] if option else None)
        results = {"a": a * 1.0, "b": b * 1.0, "h": hs}
        left = {name: outcome(lambda name=name: loss_of({name: results[name]}).backward()) for name in order}
        return left | gradients({str(k): part for k, part in enumerate(first)})

    both(run)


@pytest.mark.parametrize("truncated", [1, 2, None])
@pytest.mark.parametrize("order", ["ch", "hc"])
def test_where_a_window_ends_two_passes_do_not_meet(order: str, truncated: int | None) -> None:
    class Fanned(Two):
        pure_step = True

        def step(self, x: Any, state: Any) -> Any:
            return state[1] @ self.U.T, tanh(state[1] @ self.V.T)

    def run() -> dict[str, Any]:
        cell = Fanned()
        _, (c, h) = unroll(cell, XS, truncated=truncated)
        results = {"c": c, "h": h}
        left = {name: outcome(lambda name=name: results[name].sum().backward()) for name in order}
        return left | gradients(dict(cell.named_parameters()))

    both(run)


def test_an_output_that_is_the_same_at_every_step_is_not_released_with_the_others() -> None:
    def run(loop: Any) -> dict[str, Any]:
        W, x_0 = Parameter(np.random.default_rng(3).standard_normal((H, H)) / 2), Parameter(FIRST)
        last, (hs, every) = loop(lambda h, x: (tanh(h + x), (h * 0.5, W * 0.5)), x_0, np.ones((T, B, H)))
        left = {str(k): outcome(lambda y=y: loss_of({"": y}).backward()) for k, y in enumerate((last, every, hs, every))}
        return left | gradients({"W": W, "x_0": x_0})

    both(lambda: run(scan))


def test_a_loop_keeps_nothing_when_gradients_of_all_its_results_have_passed() -> None:
    W, h = Parameter(np.eye(H)), Parameter(FIRST)
    last, (hs, every) = scan(lambda h, x: (tanh(h + x), (h * 0.5, W * 0.5)), h, np.ones((T, B, H)))
    loop = hs._node.loop
    loss_of({"last": last, "hs": hs}).backward()
    assert loop.saved is not None
    loss_of({"every": every}).backward()
    assert loop.saved is None


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_what_the_backward_pass_of_a_backward_pass_released_is_released(steps: int) -> None:
    def run() -> dict[str, Any]:
        cell = LSTM(D, H, seed=0)
        hs, (c, h) = unroll(cell, XS[:steps])
        found = grad(hs.sum(), list(cell.parameters()), create_graph=True)
        sum((g * g).sum() for g in found).backward()
        left = {name: outcome(lambda y=y: y.sum().backward()) for name, y in {"hs": hs, "h": h, "c": c}.items()}
        return left | gradients(dict(cell.named_parameters()))

    both(run)


# ---------------------------------------------------------------- the graph, looked at when it was released, or renamed


@every_option
def test_a_graph_that_was_released_can_be_walked(option: str) -> None:
    def run() -> dict[str, Any]:
        _, hs, final = unrolled(option)
        loss_of(results_of((hs, final))).backward()
        return {"nodes": sorted(f"{node!r}" for node in walk(*parts_of(final)))}

    both(run)


@pytest.mark.parametrize("name", ["W_x", "every weight", "xs"])
@every_option
def test_a_graph_is_what_was_recorded_whatever_was_frozen_since(option: str, name: str) -> None:
    def run() -> dict[str, Any]:
        cell, xs = LSTM(D, H, seed=0), Tensor(XS, requires_grad=name == "xs")
        given = xs[: len(OPTIONS[option].get("mask", XS))]
        _, hs, final = unrolled(option, given, cell)
        loss = loss_of(results_of((hs, final)))
        for leaf in {"W_x": [cell.W_x], "every weight": cell.parameters(), "xs": [xs]}[name]:
            leaf.requires_grad = False
        nodes = sorted(f"{node!r}" for node in walk(*parts_of(final)))
        loss.backward()
        return {"nodes": nodes} | gradients(dict(cell.named_parameters()) | {"xs": xs})

    both(run)


@pytest.mark.parametrize("looked_at", [False, True])
def test_a_last_state_can_be_called_otherwise(looked_at: bool) -> None:
    def run() -> dict[str, Any]:
        _, hs, (c, h) = unrolled("")
        if looked_at:
            walk(hs, c, h)
        c.name, h.name = "kept", "read"
        names = [node.name for node in walk(c, h) if node.name in ("c", "h", "kept", "read")]
        return {"names": sorted(names), "its own": c.name}

    both(run)


# ---------------------------------------------------------------- writing, where examples are of different lengths


@pytest.mark.parametrize("hoist", [False, True])
@every_option
def test_between_forward_and_backward_may_be_written_to_what_the_plain_loop_does_not_need(option: str, hoist: bool) -> None:
    def run() -> dict[str, Any]:
        cell, xs = LSTM(D, H, seed=0), Tensor(XS[: len(OPTIONS[option].get("mask", XS))], requires_grad=True)
        state = cell.initial_state(B)
        _, hs, final = unrolled(option, xs, cell, state=state, hoist=hoist)
        assert is_compiled(hs)
        refused = {}
        for name, written in {"xs": xs, "c": state.c, "h": state.h}.items():
            refused[name] = seen(lambda written=written: written.data.fill(0.25) or {}).get("error")
        loss_of(results_of((hs, final))).backward()
        return refused | gradients({"xs": xs, **dict(cell.named_parameters())})

    found = seen(run)
    with plainly(), pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "is_compiled", lambda hs: True)
        assert_same(found, seen(run))


# ---------------------------------------------------------------- parts that change places


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("record", [enable_grad, no_grad])
@pytest.mark.parametrize("option", ["", "truncated", "lengths"])
def test_a_part_that_was_handed_on_in_the_place_of_others_is_the_one_that_was_given(
    option: str, record: Any, steps: int
) -> None:
    options = {"": {}, "truncated": {"truncated": 2}, "lengths": {"lengths": [steps, steps]}}[option]

    def run() -> dict[str, Any]:
        cell = Starting(lambda c, x, state: (state[1], state[2], new(c, x, state[0])), None)
        cell.h = tuple(Parameter(FIRST + k, name=f"p{k}") for k in range(3))
        with record():
            _, final = unroll(cell, np.concatenate([XS[:steps], XS[:1]]) if option == "lengths" else XS[:steps], **options)
        return {str(k): (part is cell.h[(k + steps) % 3], part.requires_grad) for k, part in enumerate(final)}

    both(run)


# ---------------------------------------------------------------- arrays as an initial state: the first step alone gets them


class Starting(Module):
    """A cell whose state begins as an array of its own."""

    pure_step = True

    def __init__(self, step: Callable[[Any, Any, Any], Any], h: Any) -> None:
        self.function, self.h = step, h
        self.W, self.U = (Parameter(np.random.default_rng(n).standard_normal((H, n)) / 2) for n in (D, H))

    def initial_state(self, batch: int) -> Any:
        return self.h

    def step(self, x: Any, h: Any) -> Any:
        return self.function(self, x, h)


class Unpromised(Starting):
    """The same, run step by step."""

    pure_step = False


def new(c: Any, x: Any, h: Any) -> Tensor:
    return tanh(x @ c.W.T + h @ c.U.T)


def emptied(c: Any, x: Any, h: Any) -> Tensor:
    y = new(c, x, h)
    if hasattr(h, "fill"):
        h.fill(0.5)
    return y


def emptied_first(c: Any, x: Any, h: Any) -> Tensor:
    if hasattr(h, "fill"):
        h.fill(0.5)
    return new(c, x, h)


FIRST = np.full((B, H), 0.25)
OF_ARRAYS: dict[str, tuple[Callable[[Any, Any, Any], Any], Any]] = {
    "its class": (lambda c, x, h: new(c, x, h) * (0.5 if isinstance(h, np.ndarray) else 1.0), FIRST),
    "a method that Tensors have not": (lambda c, x, h: new(c, x, h) * (h.itemsize if hasattr(h, "itemsize") else 1), FIRST),
    "a number of NumPy's, which has a dtype to arrays": (lambda c, x, h: new(c, x, h * np.float64(0.5)), FIRST.astype("f4")),
    "writing to it": (emptied_first, FIRST),
    "writing to it when it is no longer needed": (emptied, FIRST),
    "an array with a mask": (new, np.ma.masked_less(FIRST, 0)),
    "text": (new, "h"),
    "complex numbers": (new, FIRST + 1j),
}


@pytest.mark.parametrize("option", ["", "lengths", "truncated"])
@pytest.mark.parametrize("name", OF_ARRAYS)
def test_what_a_step_does_with_an_array_alone_it_does_at_its_first_step_alone(name: str, option: str) -> None:
    def run(kind: type[Starting]) -> dict[str, Any]:
        step, first = OF_ARRAYS[name]
        cell = kind(step, first if isinstance(first, str) else first.copy())
        for _ in range(2):
            try:
                _, hs, final = unrolled(option, cell=cell)
            except MinigradError as error:
                return {"message": str(error)}
            loss_of(results_of((hs, final))).backward()
        return {"h": np.array(cell.h), "hs": hs.numpy()} | gradients(dict(cell.named_parameters()))

    assert_same(seen(lambda: run(Starting)), seen(lambda: run(Unpromised)))


def test_a_step_that_does_the_same_with_arrays_is_compiled() -> None:
    assert is_compiled(unroll(Starting(new, FIRST), XS)[0])
    assert is_compiled(unroll(Starting(lambda c, x, h: new(c, x, h if isinstance(h, Tensor) else Tensor(h)), FIRST), XS)[0])
    (report,) = explain_loop(unroll, Starting(OF_ARRAYS["its class"][0], FIRST), XS)
    assert "arrays of its initial state" in str(report)
    assert "return Tensors from initial_state" in str(report)
