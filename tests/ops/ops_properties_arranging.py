"""How the operations are drawn that change no value: other shapes, parts, joins, and every kind of index."""

from typing import Any

import numpy as np
from ops_drawing import Array, Call, Draw
from ops_properties import drawn

import minigrad as mg


def factors(draw: Draw, size: int) -> tuple[int, ...]:
    """Lengths whose product is ``size``."""
    lengths = []
    while size > 1 and draw.chance():
        divisor = draw.choice([d for d in range(1, size + 1) if size % d == 0])
        lengths.append(divisor)
        size //= divisor
    return (*lengths, size)


@drawn("reshape", "ravel")
def _(draw: Draw, name: str) -> Call:
    x = draw.input(shape := draw.shape())
    if name == "ravel":
        return Call([x], mg.ravel, np.ravel)
    new = list(factors(draw, int(np.prod(shape))))
    if all(new) and draw.chance():
        new[draw.integer(0, len(new) - 1)] = -1
    return Call([x], lambda x: mg.reshape(x, tuple(new)), lambda x: np.reshape(x, tuple(new)))


@drawn("transpose", "swapaxes", "moveaxis")
def _(draw: Draw, name: str) -> Call:
    x = draw.input(shape := draw.shape(least=1, most=4))
    ndim = len(shape)
    if name == "transpose" and draw.integer(0, 3):
        axes = [axis - ndim if draw.chance() else axis for axis in draw.permutation(ndim)]
        return Call([x], lambda x: mg.transpose(x, axes), lambda x: np.transpose(x, axes))
    if name == "transpose":
        return Call([x], mg.transpose, np.transpose)
    if name == "swapaxes":
        first, second = draw.axis(ndim), draw.axis(ndim)
        return Call([x], lambda x: mg.swapaxes(x, first, second), lambda x: np.swapaxes(x, first, second))
    count = draw.integer(1, ndim)
    source, destination = draw.permutation(ndim)[:count], draw.permutation(ndim)[:count]
    return Call([x], lambda x: mg.moveaxis(x, source, destination), lambda x: np.moveaxis(x, source, destination))


@drawn("squeeze", "expand_dims")
def _(draw: Draw, name: str) -> Call:
    shape = tuple(1 if draw.chance() else size for size in draw.shape())
    if name == "expand_dims":
        axes = draw.choice((0, -1, (0, -1), (1,))) if shape else draw.choice((0, -1))
        return Call([draw.input(shape)], lambda x: mg.expand_dims(x, axes), lambda x: np.expand_dims(x, axes))
    ones = tuple(k for k, size in enumerate(shape) if size == 1)
    axis = draw.choice((None, ones, ones[0] if ones else None))
    return Call([draw.input(shape)], lambda x: mg.squeeze(x, axis), lambda x: np.squeeze(x, axis))


@drawn("broadcast_to", "astype")
def _(draw: Draw, name: str) -> Call:
    shape = draw.shape()
    if name == "astype":
        return Call([draw.input(shape)], lambda x: mg.astype(x, np.float64), lambda x: x.astype(np.float64))
    x = draw.input(draw.broadcastable(shape))
    return Call([x], lambda x: mg.broadcast_to(x, shape), lambda x: np.broadcast_to(x, shape))


@drawn("flip", "pad", "repeat", "tile")
def _(draw: Draw, name: str) -> Call:
    x = draw.input(shape := draw.shape(least=1 if name == "pad" else 0))
    ndim = len(shape)
    if name == "flip":
        axis = draw.axes(ndim)
        return Call([x], lambda x: mg.flip(x, axis), lambda x: np.flip(x, axis))
    if name == "pad":
        widths = [(draw.integer(0, 2), draw.integer(0, 2)) for _ in shape]
        width = draw.choice((2, (1, 0), widths))
        value = draw.choice((0, 1.5))
        return Call([x], lambda x: mg.pad(x, width, constant_values=value), lambda x: np.pad(x, width, constant_values=value))
    if name == "repeat":
        axis_or_none = draw.axis(ndim) if shape and draw.chance() else None
        length = int(np.prod(shape)) if axis_or_none is None else shape[axis_or_none]
        counts: Any = [draw.integer(0, 3) for _ in range(length)] if draw.chance() else draw.integer(0, 3)
        return Call([x], lambda x: mg.repeat(x, counts, axis_or_none), lambda x: np.repeat(x, counts, axis_or_none))
    reps = draw.choice((2, (3,), tuple(draw.integer(0, 3) for _ in range(draw.integer(1, 4)))))
    return Call([x], lambda x: mg.tile(x, reps), lambda x: np.tile(x, reps))


@drawn("concatenate", "cat", "stack", "vstack", "hstack")
def _(draw: Draw, name: str) -> Call:
    shape, count = draw.shape(least=1), draw.integer(1, 3)
    axis = draw.axis(len(shape))
    if name == "stack":
        place = draw.axis(len(shape) + 1)
        inputs = [draw.input(shape) for _ in range(count)]
        return Call(inputs, lambda *xs: mg.stack(xs, place), lambda *xs: np.stack(xs, place))
    if name == "concatenate" and draw.integer(0, 3) == 3:
        inputs = [draw.input(draw.shape()) for _ in range(count)]
        return Call(inputs, lambda *xs: mg.concatenate(xs, axis=None), lambda *xs: np.concatenate(xs, axis=None))
    if name in ("vstack", "hstack"):
        inputs = [draw.input(shape) for _ in range(count)]
        return Call(inputs, lambda *xs: getattr(mg, name)(xs), lambda *xs: getattr(np, name)(xs))
    lengths = [draw.integer(0, 3) for _ in range(count)]
    k = axis % len(shape)
    inputs = [draw.input((*shape[:k], length, *shape[k + 1 :])) for length in lengths]
    return Call(inputs, lambda *xs: mg.concatenate(xs, axis), lambda *xs: np.concatenate(xs, axis))


@drawn("split", "unbind")
def _(draw: Draw, name: str) -> Call:
    x = draw.input(shape := draw.shape(least=1, empty=False))
    axis = draw.axis(len(shape))
    length = shape[axis]
    if name == "unbind":
        chosen = draw.integer(0, length - 1)
        return Call([x], lambda x: mg.unbind(x, axis)[chosen], lambda x: np.moveaxis(x, axis, 0)[chosen])
    parts: Any = draw.choice([d for d in range(1, length + 1) if length % d == 0])
    if draw.chance():
        parts = [draw.integer(-5, 5) for _ in range(draw.integer(0, 3))]
    weights = [1.0, -2.0, 0.5, 3.0]

    def both(split: Any) -> Any:
        return lambda x: sum((w * (part * part).sum() for w, part in zip(weights, split(x, parts, axis), strict=False)), 0.0)

    return Call([x], both(mg.split), both(np.split), exact=False)


def integer_array(draw: Draw, length: int, shape: tuple[int, ...], low: int | None = None) -> Array:
    """Integers that index an axis of that length, with repeats; also negative ones unless ``low`` says otherwise."""
    rng = np.random.default_rng(draw.integer(0, 999))
    return rng.integers(-length if low is None else low, length, shape) if length else np.zeros((0,), np.intp)


@drawn("getitem")
def _(draw: Draw, name: str) -> Call:
    x = draw.input(shape := draw.shape())
    if shape and draw.integer(0, 5) == 5:
        mask = draw.values(shape, -1, 1) > 0
        return Call([x], lambda x: x[mask], lambda x: x[mask])
    together = draw.shape(most=2, empty=False)
    index: list[Any] = []
    for length in shape[: draw.integer(0, len(shape))]:
        kind = draw.integer(0, 4)
        if kind == 0 and length:
            index.append(draw.integer(-length, length - 1))
        elif kind == 1:
            bounds = [draw.choice((None, draw.integer(-4, 4))) for _ in range(2)]
            index.append(slice(*bounds, draw.choice((None, 1, 2, -1, -2))))
        elif kind == 2 and length:
            array = integer_array(draw, length, draw.broadcastable(together))
            index.append(draw.choice((array, mg.Tensor(array), array.tolist())))
        elif kind == 3:
            index.append(None)
            index.append(slice(None))
        else:
            index.append(slice(None))
    if draw.chance():
        index.append(Ellipsis)
    ours = index[0] if len(index) == 1 else tuple(index)
    plain = tuple(part.numpy() if isinstance(part, mg.Tensor) else part for part in index)
    return Call([x], lambda x: x[ours], lambda x: x[plain])


@drawn("gather")
def _(draw: Draw, name: str) -> Call:
    x = draw.input(shape := draw.shape(least=1, empty=False))
    axis = draw.axis(len(shape))
    lengths = tuple(draw.integer(0, 3) if k == axis % len(shape) else draw.integer(1, size) for k, size in enumerate(shape))
    index = integer_array(draw, shape[axis], lengths, low=0)
    part = tuple(slice(None) if k == axis % len(shape) else slice(size) for k, size in enumerate(lengths))
    return Call([x], lambda x: mg.gather(x, axis, index), lambda x: np.take_along_axis(x[part], index, axis))


@drawn("take", "take_along_axis", "embedding")
def _(draw: Draw, name: str) -> Call:
    shape = draw.shape(least=1, empty=False)
    axis, chosen = draw.axis(len(shape)), draw.shape()
    x = draw.input(shape)
    if name == "take" and draw.chance():
        index = integer_array(draw, shape[axis], chosen)
        return Call([x], lambda x: mg.take(x, index, axis), lambda x: np.take(x, index, axis))
    if name == "take":
        index = integer_array(draw, int(np.prod(shape)), chosen)
        return Call([x], lambda x: mg.take(x, index), lambda x: np.take(x, index))
    if name == "embedding":
        table, ids = draw.input((draw.integer(1, 4), draw.integer(1, 3))), draw.shape()
        rows = table.view(table.leaf).shape[0]
        index = integer_array(draw, rows, ids, low=0)
        return Call([table], lambda table: mg.embedding(index, table), lambda table: table[index])
    others = list(draw.broadcastable(shape)) if len(shape) > 1 else list(shape)
    others = [1] * (len(shape) - len(others)) + others
    others[axis] = draw.integer(0, 3)
    index = integer_array(draw, shape[axis], tuple(others), low=0)
    return Call([x], lambda x: mg.take_along_axis(x, index, axis), lambda x: np.take_along_axis(x, index, axis))
