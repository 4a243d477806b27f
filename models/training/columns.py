"""Examples, as arrays have them on one of their axes, and as lists have them one by one: sequences of any length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from minigrad.errors import ArgumentError, ShapeError
from minigrad.recording import plain

from ..lengths import padded
from .batch import Array, Batch

__all__ = ["Column", "batch_of", "columns_of"]


class Stacked:
    """The examples of an array, on one axis of it."""

    def __init__(self, array: Array, axis: int) -> None:
        self.array, self.axis = array, axis

    def __len__(self) -> int:
        return int(self.array.shape[self.axis])

    def take(self, chosen: Array, padding: float) -> tuple[Array, Array | None]:
        return self.array.take(chosen, self.axis), None


class Sequences:
    """Sequences one by one, (T_i, …)."""

    axis = 1

    def __init__(self, name: str, examples: list[Array]) -> None:
        kinds = {(example.shape[1:], example.dtype.kind) for example in examples}
        if len({shape for shape, _ in kinds}) > 1:
            shapes = ", ".join(str(shape) for shape in sorted({("T", *shape) for shape, _ in kinds}, key=str))
            raise ShapeError(f"batches: {name}: all sequences must be (T, …) with the same …, got {shapes}")
        self.examples = examples
        self.lengths = np.array([len(example) for example in examples])

    def __len__(self) -> int:
        return len(self.examples)

    def take(self, chosen: Array, padding: float) -> tuple[Array, Array | None]:
        return padded([self.examples[k] for k in chosen], padding)


Column: TypeAlias = Stacked | Sequences


def columns_of(arrays: Sequence[Any], axes: Sequence[int | None]) -> list[Column]:
    """The inputs, and what is given beside them."""
    first = _column("inputs", arrays[0], axes[0])
    rest = enumerate(zip(arrays[1:], axes[1:], strict=True), 2)
    return [first, *(_beside(f"array {k} of {len(arrays)}", array, axis, first) for k, (array, axis) in rest)]


def batch_of(columns: list[Column], chosen: Array, lengths: Array | None = None, padding: float = 0) -> Batch:
    """The chosen examples."""
    taken = [column.take(chosen, padding if k else 0) for k, column in enumerate(columns)]
    axes, arrays = tuple(column.axis for column in columns), [array for array, _ in taken]
    lengths = taken[0][1] if lengths is None else lengths[chosen]
    if lengths is not None and (lengths == len(arrays[0])).all():
        lengths = None
    if len(columns) == 1:
        return Batch((arrays[0],), None, (*axes, 0), lengths)
    return Batch(tuple(arrays[:-1]), arrays[-1], axes, lengths, taken[-1][1])


def _column(name: str, given: Any, axis: int | None) -> Column:
    """The inputs."""
    if isinstance(given, list):
        return _listed(name, given)
    array = _plain(name, given)
    if axis is None:
        axis = 1 if array.ndim > 2 or (array.ndim == 2 and array.dtype.kind in "iu") else 0
    return Stacked(array, _axis(name, axis, array))


def _beside(name: str, given: Any, axis: int | None, inputs: Column) -> Column:
    """What is given beside the inputs: as many examples."""
    count = len(inputs)
    if isinstance(given, list):
        column: Column = _listed(name, given, inputs)
    else:
        array = _plain(name, given)
        if axis is None:
            places = [k for k in (0, 1) if array.ndim > k and array.shape[k] == count]
            if len(places) > 1:
                raise ShapeError(f"batches: {name}, {array.shape}, has {count} on both of its first axes; say batch_axis=")
            if not places:
                raise ShapeError(_other_count(name, array, inputs))
            axis = places[0]
        column = Stacked(array, _axis(name, axis, array))
    if len(column) != count:
        raise ShapeError(f"batches: the inputs are {count} examples, and {name} {len(column)}")
    return column


def _listed(name: str, given: list[Any], inputs: Column | None = None) -> Column:
    """A list of examples: numbers, vectors of one length, or sequences."""
    examples = [_plain(f"{name}, example {k}", example) for k, example in enumerate(given)]
    if not examples:
        raise ArgumentError(f"batches: {name}: there is not one example")
    dimensions = {example.ndim for example in examples}
    if len(dimensions) > 1:
        raise ShapeError(f"batches: {name}: examples have {', '.join(map(str, sorted(dimensions)))} axes; all need as many")
    if dimensions == {0}:
        return Stacked(np.stack(examples), 0)
    lengths = [len(example) for example in examples]
    one_by_one = isinstance(inputs, Sequences) and lengths == inputs.lengths.tolist()
    vectors = dimensions == {1} and len(set(lengths)) == 1 and examples[0].dtype.kind == "f"
    if vectors and one_by_one and inputs is not None and len(set(lengths)) == 1:
        raise ShapeError(
            f"batches: {name}: {lengths[0]} numbers for each example of {lengths[0]} steps can be one for each step or one "
            "vector; give an array (T, N) or (N, …)"
        )
    if vectors and not one_by_one:
        return Stacked(np.stack(examples), 0)
    if inputs is None and dimensions == {1} and examples[0].dtype.kind == "f":
        raise ShapeError(f"batches: {name}: sequences of numbers are (T, D); make those of one number each (T, 1)")
    return Sequences(name, examples)


def _plain(name: str, given: Any) -> Array:
    array = plain(given, f"batches: {name}")
    if array.dtype.kind not in "biuf":
        raise ArgumentError(f"batches: {name}: expected numbers, got {type(given).__name__} of {array.dtype}")
    return array


def _axis(name: str, axis: Any, array: Array) -> int:
    if isinstance(axis, bool) or not isinstance(axis, int | np.integer) or not 0 <= axis < array.ndim:
        raise ArgumentError(f"batches: {name}, {array.shape}, has no axis {axis!r} for the examples")
    return int(axis)


def _other_count(name: str, array: Array, inputs: Column) -> str:
    """What is wrong where no axis has as many examples as the inputs, and what it looks like."""
    said = f"batches: the inputs are {len(inputs)} examples, and {name} is {array.shape}"
    if isinstance(inputs, Stacked) and inputs.axis == 1 and array.shape[:1] == inputs.array.shape[:1]:
        said += (
            f". The inputs, {inputs.array.shape}, look as if their examples lay on the first axis; here time comes first: "
            "xs.swapaxes(0, 1), or a list of sequences"
        )
    return said
