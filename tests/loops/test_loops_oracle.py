"""Random cells, whatever way they are written, are what a loop over their step makes of them: promised to be pure, or not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from loops_cases import is_compiled
from loops_oracle import (
    assert_same,
    by_hand,
    gradients,
    loss_of,
    numbers,
    results_of,
    seen,
    trained,
    twice_differentiated,
    unrecorded,
)
from minigrad.models import unroll
from sampling import EXHAUSTIVE

import minigrad as mg
from minigrad import Module, Parameter, Tensor, concatenate, no_grad, scan, stack, time_step

pytestmark = [pytest.mark.usefixtures("runner"), pytest.mark.few_natively]

T, B, D, H = 5, 3, 2, 4
Body = Callable[[Any, Tensor, dict[str, Tensor]], Tensor]
GLOBAL: dict[str, Tensor] = {}
"""Parameters that cells find among the globals of this file."""


class Own(Tensor):
    """A Tensor by another name, with a product of its own."""

    def __matmul__(self, other: Any) -> Any:
        return mg.matmul(self * 0.5, other)


# ---------------------------------------------------------------- what a step computes

INPUTS: dict[str, Callable[[Any, dict[str, Tensor]], Any]] = {
    "float": lambda x, p: x @ p["W"].T,
    "int": lambda x, p: p["E"][x],
    "bool": lambda x, p: mg.where(x, p["b"][:1], p["W"][0, 0])[:, :1] * p["b"],
}

ENDS: tuple[Body, ...] = (
    lambda a, h, p: mg.tanh(a + h @ p["U"].T + p["b"]),
    lambda a, h, p: mg.relu(a - h @ p["U"]) + 0.1 * h,
    lambda a, h, p: (u := mg.sigmoid(h @ p["U"].T + a)) * h + (1 - u) * mg.tanh(a),
    lambda a, h, p: mg.where(h > 0, mg.tanh(a), a * 0.3) + mg.softplus(h @ p["U"].T) * 0.2,
    lambda a, h, p: mg.exp(-mg.abs(h + a)) - h / (1 + h * h),
    lambda a, h, p: mg.tanh(concatenate([a, h], axis=1) @ p["V"].T) * mg.maximum(h, a * 0.1),
    lambda a, h, p: concatenate([mg.tanh(a[:, :2]), mg.sigmoid((h @ p["U"].T)[:, 1:3])], axis=1),
    lambda a, h, p: mg.sqrt(1 + h**2) * p["c"] + mg.log(1 + a * a),
    lambda a, h, p: (mg.softmax(h + a, axis=1) - h.mean(axis=1, keepdims=True)) @ p["U"].T,
    lambda a, h, p: mg.clip(a + h, -1.0, 1.0) + mg.stack([h[:, k] for k in (1, 0, 3, 2)], axis=1) * 0.5,
    lambda a, h, p: mg.tanh(a) + h.detach() * p["b"],
    lambda a, h, p: mg.tanh(a + h) * (p["c"] * p["c"]) + 0 * h,
)


def weights(random: np.random.Generator) -> dict[str, Any]:
    shapes = {"W": (H, D), "U": (H, H), "V": (H, 2 * H), "E": (7, H), "b": (H,), "c": (1,)}
    return {name: random.standard_normal(shape) / 2 for name, shape in shapes.items()}


# ---------------------------------------------------------------- how a cell is written


class Plain:
    """Not a Module: nobody knows its parameters."""

    def __init__(self, p: dict[str, Tensor], how: str, end: Body, start: str, names: str) -> None:
        self.p, self.how, self.end, self.start = p, how, end, start
        listed: Any = {
            "list": list(p.values()),
            "dict": dict(p),
            "generator": lambda: (tensor for tensor in p.values()),
            "none": None,
        }[names]
        if listed is not None:
            self.parameters = listed

    def initial_state(self, batch: int) -> Any:
        h = np.full((batch, H), 0.2)
        return {
            "array": h,
            "tensor": Tensor(h),
            "own": Own(h),
            "pair": (Tensor(h), Tensor(h * 2)),
            "list": [Tensor(h), Tensor(h * 2)],
            "dict": {"c": Tensor(h), "h": h},
        }[self.start]

    def compute(self, x: Any, state: Any) -> Any:
        state = Tensor(state) if isinstance(state, np.ndarray) else state
        if self.start in ("array", "tensor", "own"):
            return self.end(INPUTS[self.how](x, self.p), state, self.p)
        c, h = state.values() if isinstance(state, dict) else state
        a = INPUTS[self.how](x, self.p)
        h = self.end(a + c * 0.1, h if isinstance(h, Tensor) else Tensor(h), self.p)
        c = 0.5 * c + mg.tanh(h * a)
        return {"pair": (c, h), "list": [c, h], "dict": {"c": c, "h": h}}[self.start]

    def step(self, x: Any, state: Any) -> Any:
        return self.compute(x, state)


def with_helpers(kind: type[Any]) -> type[Any]:
    """A step that goes through other methods."""

    class Helped(kind):  # type: ignore[misc]
        def again(self, x: Any, state: Any) -> Any:
            return super().step(x, state)

        def step(self, x: Any, state: Any) -> Any:
            return self.again(x, state)

    return Helped


def with_source(kind: type[Any]) -> type[Any]:
    """A step that has no source file."""
    names: dict[str, Any] = {}
    exec("def step(self, x, state):\n    return self.compute(x, state)", names)
    return type("FromSource", (kind,), {"step": names["step"]})


def with_globals(kind: type[Any]) -> type[Any]:
    """A step that finds its parameters among the globals."""

    def step(self: Any, x: Any, state: Any) -> Any:
        self.p = dict(GLOBAL)
        return self.compute(x, state)

    return type("OfGlobals", (kind,), {"step": step})


def with_closure(kind: type[Any]) -> type[Any]:
    """A step that is a closure."""
    scale = 1.0

    def step(self: Any, x: Any, state: Any) -> Any:
        nonlocal scale
        return self.compute(x, state)

    return type("OfClosure", (kind,), {"step": step})


def with_partial(kind: type[Any]) -> type[Any]:
    """A step that is set on the object, as a partial function."""

    class Partial(kind):  # type: ignore[misc]
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.step = functools.partial(type(self).compute, self)

    return Partial


WRITTEN = {
    "plainly": lambda kind: type("Itself", (kind,), {"step": kind.step}),
    "by inheritance": lambda kind: type("Derived", (kind,), {}),
    "with helpers": with_helpers,
    "from a string": with_source,
    "with globals": with_globals,
    "as a closure": with_closure,
    "as a partial function": with_partial,
}
STARTS = ("array", "tensor", "own", "pair", "list", "dict")
NAMES = ("list", "dict", "generator", "none")
USES = {"backward": trained, "second derivatives": twice_differentiated, "no_grad": unrecorded}


class Case:
    """One random choice of everything; `run` makes all anew, so that two runs share nothing."""

    def __init__(self, seed: int) -> None:
        choose = np.random.default_rng([seed, 3])

        def one_of(these: Any) -> Any:
            return list(these)[choose.integers(len(these))]

        self.seed, self.how, self.written = seed, one_of(INPUTS), one_of(WRITTEN)
        self.start, self.names, self.end, self.use = one_of(STARTS), one_of(NAMES), one_of(ENDS), one_of(USES)
        self.wants_xs = bool(choose.integers(2)) and self.how == "float"
        self.frozen = one_of(["", "W", "U", "E"])
        self.options: dict[str, Any] = {"reverse": bool(choose.integers(2))}
        if choose.integers(2):
            self.options["lengths"] = choose.integers(0, T + 1, B).tolist()
        if choose.integers(2):
            self.options["truncated"] = int(choose.integers(1, T + 1))

    def cell(self, promised: bool) -> tuple[Any, dict[str, Tensor]]:
        random = np.random.default_rng(self.seed)
        p: dict[str, Tensor] = {k: Tensor(w, requires_grad=k != self.frozen) for k, w in weights(random).items()}
        GLOBAL.clear()
        GLOBAL.update(p)
        kind = WRITTEN[self.written](Plain)
        return type(kind.__name__, (kind,), {"pure_step": promised})(p, self.how, self.end, self.start, self.names), p

    def xs(self) -> Tensor:
        random = np.random.default_rng([self.seed, 1])
        values = {
            "float": random.standard_normal((T, B, D)),
            "int": random.integers(0, 7, (T, B)),
            "bool": random.integers(0, 2, (T, B, D)) > 0,
        }[self.how]
        return Tensor(values, requires_grad=self.wants_xs)

    def run(self, loop: Callable[..., Any], promised: bool) -> dict[str, Any]:
        cell, p = self.cell(promised)
        xs = self.xs()
        leaves = p | ({"xs": xs} if self.wants_xs else {})
        return USES[self.use](loop, cell, xs, leaves, **self.options)


@pytest.mark.parametrize("seed", range(120))
def test_a_random_cell_is_the_loop_over_its_step(seed: int) -> None:
    case = Case(seed)
    expected = seen(lambda: case.run(by_hand, False))
    for promised in (False, True):
        assert_same(seen(lambda promised=promised: case.run(unroll, promised)), expected)


@pytest.mark.parametrize("runner", ["numpy", "native"] if EXHAUSTIVE else ["numpy"], indirect=True)
def test_most_of_them_are_compiled_where_they_are_promised() -> None:
    """So that the test above tests something; what is one operation is so before either runner gets it."""
    found = []
    for seed in range(120):
        case = Case(seed)
        cell, _ = case.cell(True)
        found.append(is_compiled(unroll(cell, case.xs(), **case.options)[0]))
    assert sum(found) > 50


@pytest.mark.parametrize("seed", range(40))
def test_a_random_cell_may_be_called_again_with_other_weights_while_earlier_graphs_live(seed: int) -> None:
    def twice(loop: Callable[..., Any], promised: bool) -> dict[str, Any]:
        case = Case(seed)
        cell, p = case.cell(promised)
        first = results_of(loop(cell, case.xs(), **case.options))
        with no_grad():
            found = numbers(results_of(loop(cell, case.xs(), **case.options)))
        p |= {name: Tensor(tensor.numpy() * 0.7, requires_grad=tensor.requires_grad) for name, tensor in p.items()}
        cell.p = p
        GLOBAL.update(p)
        second = results_of(loop(cell, case.xs(), **case.options))
        (loss_of(second) * 2.0 + loss_of(first)).backward()
        third = results_of(loop(cell, case.xs(), **case.options))
        loss_of(third).backward()
        return found | {f"second {k}": v for k, v in numbers(second).items()} | gradients(p)

    expected = seen(lambda: twice(by_hand, False))
    for promised in (False, True):
        assert_same(seen(lambda promised=promised: twice(unroll, promised)), expected)


@pytest.mark.parametrize("seed", range(40))
def test_hooks_on_the_results_of_a_random_cell_see_and_change_the_gradient(seed: int) -> None:
    def hooked(loop: Callable[..., Any], promised: bool) -> dict[str, Any]:
        cell, p = case.cell(promised)
        results, gone = results_of(loop(cell, case.xs(), **options)), {}
        for name, result in results.items():
            if result.requires_grad:
                result.register_hook(lambda g, name=name: gone.update({f"at {name}": np.array(g)}) or g * 2.0)
        loss_of(results).backward()
        return gone | gradients(p)

    case = Case(seed)
    options = {name: option for name, option in case.options.items() if name != "lengths"}  # else the oracle has other results
    expected = seen(lambda: hooked(by_hand, False))
    for promised in (False, True):
        assert_same(seen(lambda promised=promised: hooked(unroll, promised)), expected)


# ---------------------------------------------------------------- scan

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "a number": lambda c, x, p: (c * 0.9 + x["a"].sum() * p["c"].sum(), c),
    "a pair": lambda c, x, p: ((mg.tanh(c[1] @ p["U"]), c[0] * x["a"]), {"y": c[0] + c[1], "z": [c[1] * 2.0]}),
    "no output": lambda c, x, p: (c + mg.tanh(x["a"] * p["b"]), None),
    "an output that does not depend on the carry": lambda c, x, p: (c, x["a"] @ p["U"].T),
    "the carry as it is": lambda c, x, p: (c, c),
    "a table": lambda c, x, p: (mg.tanh(c + p["E"][x["i"]]), c.sum(axis=-1)),
    "a nest in a nest": lambda c, x, p: ({"k": [c["k"][0] + x["a"], c["k"][0] * p["b"]]}, (c["k"][1],)),
}
CARRIES: dict[str, Any] = {
    "a number": 0.5,
    "a pair": (np.full((B, H), 0.1), np.full((B, H), 0.3)),
    "a nest in a nest": {"k": [np.full((B, H), 0.1), np.full((B, H), 0.2)]},
}


def plain_scan(f: Callable[..., Any], init: Any, xs: dict[str, Tensor], reverse: bool) -> tuple[Any, Any]:
    """The eight lines of `scan`'s docstring, in either direction."""
    carry, ys = mg.pytree.mapped(lambda end: end if isinstance(end, Tensor) else Tensor(end), init), {}
    count = len(xs["a"])
    for t in reversed(range(count)) if reverse else range(count):
        with time_step(t + 1):
            carry, ys[t] = f(carry, {name: rows[t] for name, rows in xs.items()})
    columns = zip(*[mg.pytree.ends(ys[t]) for t in range(count)], strict=True)
    return carry, mg.pytree.rebuilt(ys[0], [stack(list(column)) for column in columns])


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("count", [1, 2, 66])
@pytest.mark.parametrize("use", ["all", "carry", "outputs", "squared gradient"])
def test_scan_is_the_loop_of_its_docstring(name: str, reverse: bool, count: int, use: str) -> None:
    def run(loop: Callable[..., Any]) -> dict[str, Any]:
        random = np.random.default_rng(4)
        p = {k: Tensor(w * 0.5, requires_grad=True) for k, w in weights(random).items()}
        init = mg.pytree.mapped(lambda end: Tensor(end, requires_grad=True), CARRIES.get(name, np.full((B, H), 0.1)))
        a, i = random.standard_normal((count, B, H)), random.integers(0, 7, (count, B))
        xs = {"a": Tensor(a, requires_grad=True), "i": Tensor(i)}
        carry, ys = loop(lambda c, x: FUNCTIONS[name](c, x, p), init, xs, reverse=reverse)
        results = {f"carry {k}": end for k, end in enumerate(mg.pytree.ends(carry))}
        outputs = {f"y {k}": end for k, end in enumerate(mg.pytree.ends(ys))}
        found = numbers(results | outputs)
        leaves = p | {"xs": xs["a"]} | {f"init {k}": end for k, end in enumerate(mg.pytree.ends(init))}
        chosen = {"carry": results, "outputs": outputs}.get(use, results | outputs)
        if not chosen:
            return found
        loss = loss_of(chosen)
        if use == "squared gradient":
            loss = sum((g * g).sum() for g in mg.grad(loss, list(leaves.values()), create_graph=True))
        loss.backward()
        return found | gradients(leaves)

    assert_same(seen(lambda: run(scan)), seen(lambda: run(plain_scan)))


class Gated(Module):
    """A Module with one parameter."""

    pure_step = True

    def __init__(self, W: Parameter) -> None:
        self.W = W

    def initial_state(self, batch: int) -> Any:
        return Tensor(np.zeros((batch, H)))

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        return mg.tanh(x[:, :1] + h @ self.W.T + 0.1)


def test_two_cells_that_share_a_weight_send_it_both_gradients() -> None:
    def run(loop: Callable[..., Any]) -> dict[str, Any]:
        W = Parameter(weights(np.random.default_rng(0))["U"])
        first, second = Gated(W), Gated(W)
        hs = loop(first, np.ones((T, B, D)))[0]
        return trained(loop, second, hs, {"W": W})

    assert_same(run(unroll), run(by_hand))
