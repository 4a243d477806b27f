"""How each operation is drawn: for every name in ``minigrad.ops`` a random call of it, and the same in NumPy.

Operations that change no value but only arrange entries are in ops_properties_arranging.py.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from ops_drawing import Call, Draw, Input

import minigrad as mg

PROPERTIES: dict[str, Callable[[Draw], Call]] = {}


def drawn(*names: str) -> Callable[[Callable[[Draw, str], Call]], Callable[[Draw, str], Call]]:
    """The decorated function draws calls of the operations with these names."""

    def register(make: Callable[[Draw, str], Call]) -> Callable[[Draw, str], Call]:
        for name in names:
            PROPERTIES[name] = partial(make, name=name)
        return make

    return register


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def softplus(x: Any) -> Any:
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.log(np.exp(x).sum(axis=axis, keepdims=keepdims))


def softmax(x: Any, axis: Any) -> Any:
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)


SMOOTH: dict[str, tuple[Callable[[Any], Any], float, float]] = {
    "negative": (np.negative, -2, 2),
    "square": (np.square, -2, 2),
    "exp": (np.exp, -2, 2),
    "expm1": (np.expm1, -2, 2),
    "log": (np.log, 0.3, 3),
    "log1p": (np.log1p, -0.7, 3),
    "sqrt": (np.sqrt, 0.3, 3),
    "sin": (np.sin, -3, 3),
    "cos": (np.cos, -3, 3),
    "tanh": (np.tanh, -2, 2),
    "copy": (np.copy, -2, 2),
}
for _name, (_numpy, _low, _high) in SMOOTH.items():

    @drawn(_name)
    def _(draw: Draw, name: str, numpy: Any = _numpy, low: float = _low, high: float = _high) -> Call:
        return Call([draw.input(draw.shape(), low, high)], getattr(mg, name), numpy)


@drawn("sigmoid")
def _(draw: Draw, name: str) -> Call:
    return Call([draw.input(draw.shape(), -5, 5)], mg.sigmoid, sigmoid)


@drawn("softplus")
def _(draw: Draw, name: str) -> Call:
    return Call([draw.input(draw.shape(), -5, 5)], mg.softplus, softplus, exact=False)


@drawn("absolute", "abs")
def _(draw: Draw, name: str) -> Call:
    return Call(draw.inputs_apart(draw.shape()), mg.absolute, np.absolute)


@drawn("relu")
def _(draw: Draw, name: str) -> Call:
    return Call(draw.inputs_apart(draw.shape()), mg.relu, lambda x: np.maximum(x, 0))


def two(draw: Draw, first: tuple[float, float] = (-2, 2), second: tuple[float, float] = (-2, 2)) -> list[Input]:
    """Two inputs whose shapes broadcast together."""
    shape = draw.shape()
    return [draw.input(draw.broadcastable(shape), *first), draw.input(draw.broadcastable(shape), *second)]


for _name, _ufunc in (("add", np.add), ("subtract", np.subtract), ("multiply", np.multiply), ("logaddexp", np.logaddexp)):

    @drawn(_name)
    def _(draw: Draw, name: str, ufunc: Any = _ufunc) -> Call:
        function = getattr(mg, name)
        kind, number = draw.integer(0, 3), draw.choice((2, -1, 0.5, np.float64(1.5), np.int64(3)))
        plain = number.item() if isinstance(number, np.generic) else number
        if kind == 0:
            return Call([draw.input(draw.shape())], lambda x: function(x, number), lambda x: ufunc(x, plain))
        if kind == 1:
            return Call([draw.input(draw.shape())], lambda x: function(number, x), lambda x: ufunc(plain, x))
        return Call(two(draw), function, ufunc)


@drawn("divide")
def _(draw: Draw, name: str) -> Call:
    if draw.chance():
        return Call([draw.input(draw.shape(), 0.4, 2)], lambda x: 2 / x, lambda x: 2 / x)
    return Call(two(draw, second=(0.4, 2)), mg.divide, np.divide)


@drawn("power")
def _(draw: Draw, name: str) -> Call:
    kind, whole = draw.integer(0, 3), draw.integer(-2, 4)
    if kind == 0:
        return Call([draw.input(draw.shape(), -2, -0.4)], lambda x: x**whole, lambda x: np.power(x, whole))
    if kind == 1:
        return Call([draw.input(draw.shape(), 0.3, 2)], lambda x: x**1.5, lambda x: np.power(x, 1.5))
    if kind == 2:
        return Call([draw.input(draw.shape())], lambda x: 1.7**x, lambda x: np.power(1.7, x))
    return Call(two(draw, first=(0.3, 2)), mg.power, np.power)


@drawn("maximum", "minimum")
def _(draw: Draw, name: str) -> Call:
    shape = draw.shape()
    inputs = draw.inputs_apart(draw.broadcastable(shape), draw.broadcastable(shape))
    return Call(inputs, getattr(mg, name), getattr(np, name))


@drawn("where")
def _(draw: Draw, name: str) -> Call:
    shape = draw.shape()
    condition = draw.values(draw.broadcastable(shape), -1, 1) > 0
    given = mg.Tensor(condition) if draw.chance() else condition
    inputs = [draw.input(draw.broadcastable(shape)) for _ in range(2)]
    return Call(inputs, lambda a, b: mg.where(given, a, b), lambda a, b: np.where(condition, a, b))


@drawn("clip")
def _(draw: Draw, name: str) -> Call:
    shape = draw.shape()
    low, high = draw.choice(((-1.0, 1.0), (None, 0.0), (0.0, None), (1.0, -1.0)))
    if draw.chance():
        return Call(draw.inputs_apart(shape), lambda x: mg.clip(x, low, high), lambda x: np.clip(x, low, high))
    return Call(draw.inputs_apart(shape, draw.broadcastable(shape), draw.broadcastable(shape)), mg.clip, np.clip)


@drawn("sum", "cumsum")
def _(draw: Draw, name: str) -> Call:
    x = draw.input(shape := draw.shape())
    if name == "cumsum":
        axis = draw.axis(len(shape)) if shape and draw.chance() else None
        return Call([x], lambda x: mg.cumsum(x, axis), lambda x: np.cumsum(x, axis))
    axes, keepdims = draw.axes(len(shape)), draw.chance()
    return Call([x], lambda x: mg.sum(x, axes, keepdims), lambda x: np.sum(x, axis=axes, keepdims=keepdims))


@drawn("mean", "var", "std")
def _(draw: Draw, name: str) -> Call:
    shape = draw.shape(empty=False)
    axis, keepdims = draw.axes(len(shape)), draw.chance()
    entries = np.zeros(shape).sum(axis, keepdims=True).size
    options: dict[str, Any] = {"axis": axis, "keepdims": keepdims}
    per_result = int(np.prod(shape)) // entries
    if name != "mean" and per_result > 1:
        options["ddof"] = draw.integer(0, 1)
    if name == "std" and per_result == 1:
        name = "var"
    x = draw.inputs_apart(shape)
    return Call(x, lambda x: getattr(mg, name)(x, **options), lambda x: getattr(np, name)(x, **options))


@drawn("max", "min")
def _(draw: Draw, name: str) -> Call:
    shape = draw.shape(empty=False)
    axis, keepdims = draw.axes(len(shape)), draw.chance()
    options = {"axis": axis, "keepdims": keepdims}
    return Call(draw.inputs_apart(shape), lambda x: getattr(mg, name)(x, **options), lambda x: getattr(np, name)(x, **options))


@drawn("logsumexp")
def _(draw: Draw, name: str) -> Call:
    shape = draw.shape(empty=False)
    axis, keepdims = draw.axes(len(shape)), draw.chance()
    x = draw.input(shape)
    return Call([x], lambda x: mg.logsumexp(x, axis, keepdims), lambda x: logsumexp(x, axis, keepdims), exact=False)


@drawn("softmax", "log_softmax")
def _(draw: Draw, name: str) -> Call:
    x = draw.input(shape := draw.shape(least=1, empty=False))
    axis = draw.choice((draw.axis(len(shape)), tuple(range(len(shape)))))
    if name == "softmax":
        return Call([x], lambda x: mg.softmax(x, axis), lambda x: softmax(x, axis), exact=False)
    return Call([x], lambda x: mg.log_softmax(x, axis), lambda x: x - logsumexp(x, axis, True), exact=False)


@drawn("matmul", "dot")
def _(draw: Draw, name: str) -> Call:
    k, rows, columns = (draw.integer(0, 3) if draw.integer(0, 7) == 7 else draw.integer(1, 3) for _ in range(3))
    batch = draw.shape(most=2)
    if name == "dot":
        a, b = draw.input((*batch, k)), draw.input((*draw.shape(most=1), k, columns) if draw.chance() else (k,))
        return Call([a, b], mg.dot, np.dot, exact=False)
    kind = draw.integer(0, 4)
    if kind == 0:
        return Call([draw.input((k,)), draw.input((k,))], mg.matmul, np.matmul, exact=False)
    if kind == 1:
        return Call([draw.input((*batch, rows, k)), draw.input((k,))], mg.matmul, np.matmul, exact=False)
    if kind == 2:
        return Call([draw.input((k,)), draw.input((*batch, k, columns))], mg.matmul, np.matmul, exact=False)
    if kind == 3:
        a, b = draw.input((*batch, rows, k)), draw.input((columns, k))
        return Call([a, b], lambda a, b: a @ b.T, lambda a, b: a @ b.T, exact=False)
    shapes = (*draw.broadcastable(batch), rows, k), (*draw.broadcastable(batch), k, columns)
    return Call([draw.input(shape) for shape in shapes], mg.matmul, np.matmul, exact=False)


@drawn("outer", "vdot")
def _(draw: Draw, name: str) -> Call:
    shape = draw.shape()
    if name == "outer":
        return Call([draw.input(shape), draw.input(draw.shape(most=2))], mg.outer, np.outer)
    other = tuple(shape[k] for k in draw.permutation(len(shape)))
    return Call([draw.input(shape), draw.input(other)], mg.vdot, np.vdot, exact=False)


@drawn("einsum")
def _(draw: Draw, name: str) -> Call:
    sizes, batch = {letter: draw.integer(1, 3) for letter in "abc"}, draw.shape(most=2, empty=False)
    terms, inputs, dots = [], [], draw.chance()
    for _ in range(draw.integer(1, 3)):
        term = "".join(letter for letter in "abc" if draw.chance())
        shape = tuple(1 if draw.integer(0, 7) == 7 else sizes[letter] for letter in term)
        terms.append("..." + term if dots else term)
        inputs.append(draw.input(draw.broadcastable(batch) + shape if dots else shape))
    used = sorted(set("".join(terms)) - {"."})
    out = "..." * dots + "".join(used[k] for k in draw.permutation(len(used)) if draw.chance())
    spec = ",".join(terms) + (f"->{out}" if draw.chance() else "")
    return Call(inputs, lambda *xs: mg.einsum(spec, *xs), lambda *xs: np.einsum(spec, *xs), exact=False)


@drawn("norm")
def _(draw: Draw, name: str) -> Call:
    shape = draw.shape(least=1, empty=False)
    axes, keepdims, ord = draw.axes(len(shape)), draw.chance(), draw.choice((None, 2))
    x = draw.inputs_apart(shape)[0]
    if ord is None or isinstance(axes, int):

        def reference(x: Any) -> Any:
            return np.sqrt(np.sum(x * x, axis=axes, keepdims=keepdims))

        return Call([x], lambda x: mg.norm(x, ord, axes, keepdims), reference, exact=False)
    axis, ord = draw.axis(len(shape)), draw.choice((1, np.inf))
    return Call([x], lambda x: mg.norm(x, ord, axis), lambda x: np.linalg.norm(x, ord, axis), exact=False)


@drawn("prod")
def _(draw: Draw, name: str) -> Call:
    shape = draw.shape()
    axes, keepdims = draw.axes(len(shape)), draw.chance()
    x = draw.input(shape)
    return Call([x], lambda x: mg.prod(x, axes, keepdims), lambda x: np.prod(x, axis=axes, keepdims=keepdims), exact=False)


@drawn("cross_entropy")
def _(draw: Draw, name: str) -> Call:
    shape, classes = draw.shape(most=2, empty=False), draw.integer(1, 4)
    labels = np.random.default_rng(draw.integer(0, 999)).integers(0, classes, shape)
    counts = draw.values(shape, -1, 3) > 0
    reduction = draw.choice(("mean", "sum", "none"))
    if reduction == "mean" and not counts.any():
        reduction = "sum"
    given: dict[str, Any] = {"targets": labels, "mask": counts}
    if draw.chance():
        given = {"targets": np.where(counts, labels, -1), "ignore_index": -1}

    weight = draw.values((classes,), 0.2, 2.0) if draw.chance() else np.ones(classes)
    smoothing = draw.choice((0.0, 0.3, 1.0))
    if weight.max() != 1 or draw.chance():
        given |= {"weight": weight, "label_smoothing": smoothing}
    else:
        smoothing = 0.0

    def reference(x: Any) -> Any:
        onehot = np.eye(classes)[labels]
        wanted = weight * ((1 - smoothing) * onehot + smoothing / classes)
        losses = np.where(counts, (wanted * (logsumexp(x, -1, True) - x)).sum(-1), 0).astype(x.dtype)
        counted = (counts * weight[labels]).sum()
        return losses if reduction == "none" else losses.sum() / (counted if reduction == "mean" else 1)

    x = draw.input((*shape, classes))
    return Call([x], lambda x: mg.cross_entropy(x, reduction=reduction, **given), reference, exact=False)


def reduced(losses: Any, reduction: str) -> Any:
    return losses if reduction == "none" else getattr(np, reduction)(losses)


@drawn("mse_loss")
def _(draw: Draw, name: str) -> Call:
    shape, reduction = draw.shape(empty=False), draw.choice(("mean", "sum", "none"))
    inputs = [draw.input(shape), draw.input(shape)]
    return Call(inputs, lambda a, b: mg.mse_loss(a, b, reduction), lambda a, b: reduced((a - b) ** 2, reduction), exact=False)


@drawn("binary_cross_entropy_with_logits")
def _(draw: Draw, name: str) -> Call:
    shape, reduction = draw.shape(empty=False), draw.choice(("mean", "sum", "none"))
    inputs = [draw.input(shape, -4, 4), draw.input(shape, 0.1, 0.9)]
    return Call(
        inputs,
        lambda x, t: mg.binary_cross_entropy_with_logits(x, t, reduction),
        lambda x, t: reduced(t * softplus(-x) + (1 - t) * softplus(x), reduction),
        exact=False,
    )


@drawn("dropout")
def _(draw: Draw, name: str) -> Call:
    x, p, seed = draw.input(shape := draw.shape()), draw.choice((0.0, 0.3, 0.9, 1.0)), draw.integer(0, 99)
    kept = np.random.default_rng(seed).random(shape) >= p
    return Call([x], lambda x: mg.dropout(x, p, rng=seed), lambda x: np.where(kept, x * (1 / (1 - p) if p < 1 else 0), 0))
