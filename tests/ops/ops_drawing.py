"""Drawing calls of operations at random: shapes, axes, layouts and values, from hypothesis or from a plain seed."""

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Array = NDArray[Any]


class Source(Protocol):
    """Where choices come from."""

    def integer(self, low: int, high: int) -> int: ...


class FromHypothesis:
    """Choices that hypothesis makes, and makes simpler when something fails."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data

    def integer(self, low: int, high: int) -> int:
        return self.data.draw(st.integers(low, high))


class FromSeed:
    """Choices from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def integer(self, low: int, high: int) -> int:
        return self.random.randint(low, high)


class Input(NamedTuple):
    """A leaf, and the view of it that the operation is given. The view is taken of arrays and of Tensors alike."""

    leaf: Array
    view: Callable[[Any], Any]


class Call(NamedTuple):
    """An operation on given inputs, and the same in NumPy.

    ``exact`` says that both go through the same NumPy function, so that the results must be equal to the last bit.
    """

    inputs: Sequence[Input]
    ours: Callable[..., Any]
    numpy: Callable[..., Any]
    exact: bool = True


class Draw:
    """What an operation's property asks for."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def integer(self, low: int, high: int) -> int:
        return self.source.integer(low, high)

    def chance(self) -> bool:
        return bool(self.source.integer(0, 1))

    def choice(self, options: Sequence[Any]) -> Any:
        return options[self.source.integer(0, len(options) - 1)]

    def shape(self, least: int = 0, most: int = 3, empty: bool = True) -> tuple[int, ...]:
        """Up to ``most`` axes of length 1 to 4, in one case of eight with an axis of length 0."""
        shape = [self.integer(1, 4) for _ in range(self.integer(least, most))]
        if empty and shape and self.integer(0, 7) == 7:
            shape[self.integer(0, len(shape) - 1)] = 0
        return tuple(shape)

    def axis(self, ndim: int) -> int:
        """One axis, counted from either end."""
        return self.integer(-ndim, ndim - 1)

    def axes(self, ndim: int) -> int | tuple[int, ...] | None:
        """None, one axis, or several."""
        kind = self.integer(0, 2)
        if kind == 0 or not ndim:
            return None
        if kind == 1:
            return self.axis(ndim)
        chosen = [axis for axis in range(ndim) if self.chance()]
        return tuple(axis - ndim if self.chance() else axis for axis in chosen)

    def broadcastable(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape that broadcasts to ``shape``."""
        kept = shape[self.integer(0, len(shape)) :] if self.chance() else shape
        return tuple(1 if self.integer(0, 3) == 3 else size for size in kept)

    def permutation(self, n: int) -> list[int]:
        order = list(range(n))
        for k in range(n - 1, 0, -1):
            j = self.integer(0, k)
            order[k], order[j] = order[j], order[k]
        return order

    def values(self, shape: tuple[int, ...], low: float, high: float) -> Array:
        """Numbers between two bounds."""
        return np.random.default_rng(self.integer(0, 9999)).uniform(low, high, shape)

    def apart(self, *shapes: tuple[int, ...]) -> list[Array]:
        """Arrays of numbers of which no two are closer than 0.1, and none is closer than 0.05 to 0 or ±1."""
        sizes = [int(np.prod(shape)) for shape in shapes]
        rng = np.random.default_rng(self.integer(0, 9999))
        numbers = (rng.permutation(sum(sizes)) - sum(sizes) // 2) * 0.2 + 0.1 + rng.uniform(-0.04, 0.04, sum(sizes))
        parts = np.split(numbers, np.cumsum(sizes)[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def input(self, shape: tuple[int, ...], low: float = -2.0, high: float = 2.0) -> Input:
        """An input of that shape in some layout: contiguous, transposed, strided, reversed, or of stride 0."""
        return self.laid_out(shape, lambda leaf_shape: self.values(leaf_shape, low, high))

    def inputs_apart(self, *shapes: tuple[int, ...]) -> list[Input]:
        """Inputs whose entries differ, for operations with kinks; in some layout that makes no two entries one."""
        frames = [self.choice((_as_it_is, _transposed, _strided, _turned)) for _ in shapes]
        leaves = self.apart(*(frame(shape)[0] for frame, shape in zip(frames, shapes, strict=True)))
        return [Input(leaf, frame(shape)[1]) for leaf, frame, shape in zip(leaves, frames, shapes, strict=True)]

    def laid_out(self, shape: tuple[int, ...], make: Callable[[tuple[int, ...]], Array]) -> Input:
        leaf_shape, view = self.choice((_as_it_is, _as_it_is, _transposed, _strided, _turned, _stretched))(shape)
        return Input(make(leaf_shape), view)


Layout = tuple[tuple[int, ...], Callable[[Any], Any]]


def _as_it_is(shape: tuple[int, ...]) -> Layout:
    return shape, lambda x: x


def _transposed(shape: tuple[int, ...]) -> Layout:
    return shape[::-1], lambda x: x.T


def _strided(shape: tuple[int, ...]) -> Layout:
    if not shape:
        return (2,), lambda x: x[1]
    return (*shape[:-1], 2 * shape[-1]), lambda x: x[..., ::2]


def _turned(shape: tuple[int, ...]) -> Layout:
    return shape, lambda x: x[..., ::-1] if shape else x


def _stretched(shape: tuple[int, ...]) -> Layout:
    if not shape:
        return shape, lambda x: x
    return (1, *shape[1:]), lambda x: np.broadcast_to(x, shape)
