"""A right call of everything public, argument by argument: what `test_bad_arguments` then spoils.

Each entry is a name, a function, and for each of its arguments what makes a right value.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import Function, Parameter, Tensor, models

Make = Callable[[], Any]
Call = tuple[Callable[..., Any], dict[str, Make]]

XS = np.ones((4, 2, 3))


def tensor(*shape: int) -> Make:
    return lambda: Tensor(np.random.default_rng(0).normal(size=shape) + 3, requires_grad=True)


def given(value: Any) -> Make:
    return lambda: value


def arguments_of(function: Callable[..., Any], /, **right: Make) -> dict[str, Make]:
    """What makes each argument: the one told, or the default."""
    named = [p for p in inspect.signature(function).parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return {p.name: right.get(p.name, given(p.default)) for p in named if p.name in right or p.default is not p.empty}


ARRAYS: dict[str, Make] = {
    **dict.fromkeys(("x", "y", "a", "b", "logits", "prediction", "table"), tensor(2, 3)),
    "targets": given(np.array([0, 1])), "target": given(np.ones((2, 3))), "tensors": lambda: [tensor(2, 3)()] * 2,
    "axis": given(0), "dim": given(0), "source": given(0), "destination": given(1), "axis1": given(0), "axis2": given(1),
    "dtype": given("float32"), "shape": given((3, 2)), "axes": given((1, 0)), "a_min": given(0.0), "a_max": given(1.0),
    "ids": given(np.array([0, 1])), "index": given(np.array([[0, 1, 0]])), "indices": given(np.array([[0, 1, 0]])),
    "pad_width": given(1), "repeats": given(2), "reps": given(2), "indices_or_sections": given(1), "rng": given(0),
    "condition": given(np.ones((2, 3), bool)), "mask": given(np.array([True, False])), "weight": given(np.ones(3)),
    "label_smoothing": given(0.1), "ignore_index": given(-1),
}  # fmt: skip
SPECIAL: dict[str, dict[str, Make]] = {
    "binary_cross_entropy_with_logits": {"targets": given(np.ones((2, 3)))},
    "broadcast_to": {"shape": given((2, 3))},
    "matmul": {"b": tensor(3, 2)},
    "dot": {"b": tensor(3, 2)},
    "outer": {"a": tensor(3), "b": tensor(2)},
    "vdot": {"b": tensor(2, 3)},
    "getitem": {"index": given(0)},
    "squeeze": {"x": tensor(1, 3)},
    "take": {"axis": given(1)},
    "clip": {"min": given(None), "max": given(None)},
    "expand_dims": {"axis": given(0)},
}


def operations() -> Iterator[tuple[str, Call]]:
    for name in mg.ops.__all__:
        function = getattr(mg, name)
        if name not in ("compare", "einsum"):
            yield name, (function, arguments_of(function, **ARRAYS | SPECIAL.get(name, {})))
    for name in ("add", "mul", "truediv", "pow", "lt"):
        apply = getattr(operator, name)
        yield f"t {name}", (lambda b, apply=apply: apply(tensor(2, 3)(), b), {"b": tensor(2, 3)})
    for name in ("sum", "mean", "max", "prod", "std", "cumsum", "argmax"):
        method = getattr(Tensor, name)
        yield f"t.{name}", (lambda axis, method=method: method(tensor(2, 3)(), axis=axis), {"axis": given(0)})


def graph() -> tuple[Tensor, models.RNN]:
    """A loss, and the cell that it came from."""
    cell = models.RNN(3, 4, seed=0)
    hs, _ = models.unroll(cell, XS)
    return (hs * hs).sum(), cell


def affine(x: Any, W: Any) -> Any:
    return np.tanh(x @ W)


def affine_backward(dy: Any, x: Any, W: Any) -> Any:
    da = dy * (1 - np.tanh(x @ W) ** 2)
    return da @ W.T, x.T @ da


def of_gradients(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda reference, **rest: function(reference, {"W": np.ones(3)}, **rest)


def entered(manager: Any) -> Callable[[Any], None]:
    def call(value: Any) -> None:
        with manager(value):
            pass

    return call


def replaced_by_a_hook(v: Any) -> None:
    x = tensor(3)()
    y = x * 2.0
    y.register_hook(lambda g: v)
    y.sum().backward()


def engine() -> Iterator[tuple[str, Call]]:
    square, point, loss = given(lambda t: (t * t).sum()), given(np.ones(3)), lambda: graph()[0]
    pair = {"primals": lambda: (np.ones(3),), "tangents": lambda: (np.ones(3),)}
    arrays = {"arguments": lambda: {"x": np.ones((2, 3)), "W": np.ones((3, 2))}}
    yield "einsum", (lambda s, optimize: mg.einsum(s, np.ones((2, 3)), optimize=optimize),
                     {"s": given("ij->i"), "optimize": given(True)})  # fmt: skip
    yield "Tensor", (Tensor, arguments_of(Tensor, data=given([1.0, 2.0])))
    yield "Parameter", (Parameter, arguments_of(Parameter, data=given([1.0, 2.0])))
    yield "t.backward", (lambda g: (tensor(3)() * 2.0).backward(g), {"g": point})
    yield "t.data", (lambda v: setattr(tensor(3)(), "data", v), {"v": point})
    yield "t.register_hook", (lambda h: tensor(3)().register_hook(h), {"h": given(abs)})
    yield "what a hook returns", (replaced_by_a_hook, {"v": point})
    yield "zeros", (lambda n, name: mg.zeros(n, name=name), {"n": given(2), "name": given("z")})
    yield "ones", (lambda n, requires_grad: mg.ones(n, 3, requires_grad=requires_grad),
                   {"n": given(2), "requires_grad": given(False)})  # fmt: skip
    yield "grad", (lambda o, i: mg.grad(o, i), {"o": lambda: tensor(3)().sum(), "i": tensor(3)})
    for name in ("vjp", "jacobian", "hessian"):
        yield name, (lambda f, x, name=name: getattr(mg, name)(f, x), {"f": square, "x": point})
    for name in ("jvp", "hvp"):
        yield name, (getattr(mg, name), {"function": square} | pair)
    for name in ("gradcheck", "gradgradcheck"):
        yield name, (getattr(mg, name), arguments_of(getattr(mg, name), function=square, inputs=tensor(2)))
    for name in ("compare_gradients", "assert_gradients_close"):
        right = arguments_of(getattr(mg, name), reference=lambda: {"W": np.ones(3)})
        yield name, (of_gradients(getattr(mg, name)), right)
    checked = arguments_of(mg.check_backward, forward=given(affine), backward=given(affine_backward), seconds=given(0.0))
    for name in ("check_backward", "assert_backward_correct"):
        yield name, (getattr(mg, name), {key: make for key, make in checked.items() if key != "T"} | arrays)
    yield "contributions", (lambda losses: mg.contributions(losses, graph()[1].W_hh), {"losses": loss})
    yield "contributions to", (lambda p: mg.contributions(graph()[0], p), {"p": tensor(2)})
    yield "gradient_by_time", (mg.gradient_by_time, {"loss": loss, "names": given(["h"])})
    made, cell = graph()
    yield "explain", (lambda loss, name: mg.explain(loss, name, cell), {"loss": given(made), "name": given("W_hh")})
    yield "state_jacobians", (mg.state_jacobians, {"cell_or_step": lambda: graph()[1], "xs": given(XS), "state": given(None)})
    yield "derive", (mg.derive, {"cell_or_step": lambda: graph()[1], "x": given(None), "state": given(None)})
    yield "edge_gradients", (mg.edge_gradients, {"output": loss, "gradient": given(None)})
    yield "walk", (lambda root: mg.walk(root), {"root": loss})
    yield "explain_loop", (lambda xs: mg.explain_loop(models.unroll, graph()[1], xs), {"xs": given(XS)})
    yield "scan", (mg.scan, {"f": given(lambda c, x: (c, x)), "init": point, "xs": given(XS), "reverse": given(False)})
    yield "native", (lambda on: (mg.native(on), mg.native(False)), {"on": given(False)})
    for name, value in (("scope", "a"), ("time_step", 1), ("detect_anomaly", True)):
        yield name, (entered(getattr(mg, name)), {"value": given(value)})
    yield "Function", (lambda f, v, name: Function(f, v, name)(tensor(3)()),
                       {"f": given(lambda x: (x * 2, None)), "v": given(lambda g, s: g), "name": given("f")})  # fmt: skip
    yield "module.train", (lambda mode: graph()[1].train(mode), {"mode": given(True)})
    yield "module.load_state_dict", (lambda W: graph()[1].load_state_dict(graph()[1].state_dict() | {"W_hh": W}),
                                     {"W": given(np.ones((4, 4)))})  # fmt: skip
