"""From data to batches: arrays, lists of sequences of any length, streams of a text, generators.

A batch is what one call of a model sees. Time comes first in it as everywhere here: sequences are (T, B, …), padded at the
end where lengths differ, with the lengths (B,) beside them; everything else is (B, …).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from minigrad import Tensor
from minigrad.errors import ArgumentError, ShapeError

from ..checks import positive_size, switch
from ..streams import Streams

__all__ = ["Array", "Batch", "Batches", "Data", "Source", "as_source"]

Array: TypeAlias = npt.NDArray[Any]
Data: TypeAlias = "Source | Streams | tuple[Any, ...] | Iterable[Any] | Callable[[], Iterable[Any]]"
"""What a training can learn from; `as_source` says what becomes of each."""


@dataclass(frozen=True)
class Batch:
    """What one call of a model sees.

    Attributes:
        inputs: what the model is called with, in order.
        targets: what its outputs are compared with.
        axes: for each of the inputs and then the targets, the axis on which the examples lie.
        lengths: (B,) the lengths of the sequences; None where all are of full length.
        per_step: whether there is a target for every step of the inputs.
        target_lengths: (B,) the lengths of the targets, where they differ.
        starts: for streams, whether the state begins anew rather than being carried over; None for all else.
    """

    inputs: tuple[Any, ...]
    targets: Any
    axes: tuple[int, ...]
    lengths: Array | None = None
    target_lengths: Array | None = None
    starts: bool | None = None

    @property
    def size(self) -> int:
        """B, the number of examples."""
        return int(np.shape(self.inputs[0])[self.axes[0]])

    @property
    def steps(self) -> int:
        """How many inputs there are: Σ lengths, T · B, or B where there is no time."""
        if self.lengths is not None:
            return int(self.lengths.sum())
        return self.size * (len(self.inputs[0]) if self.axes[0] else 1)

    @property
    def per_step(self) -> bool:
        """Whether there is a target for every step of the inputs."""
        in_time = self.targets is not None and self.axes[0] == self.axes[-1] == 1
        return in_time and np.shape(self.targets)[:2] == np.shape(self.inputs[0])[:2]

    @property
    def weight(self) -> int:
        """How many targets count, as the mean in a loss is over them."""
        if self.target_lengths is not None:
            return int(self.target_lengths.sum())
        return self.steps if self.per_step else self.size

    @property
    def valid(self) -> Array | None:
        """Which targets count, (T, B); None where all do."""
        if self.lengths is None or not self.per_step:
            return None
        valid: Array = np.arange(len(self.targets))[:, None] < self.lengths
        return valid

    def part(self, number: int, parts: int) -> Batch:
        """One of several parts of nearly as many examples each; the weights of all add up to that of the whole."""
        chosen = slice(self.size * number // parts, self.size * (number + 1) // parts)
        *inputs, targets = (
            array if array is None else array[(slice(None),) * axis + (chosen,)]
            for array, axis in zip((*self.inputs, self.targets), self.axes, strict=True)
        )
        lengths, of_targets = (None if n is None else n[chosen] for n in (self.lengths, self.target_lengths))
        return Batch(tuple(inputs), targets, self.axes, lengths, of_targets, self.starts)


class Source(Protocol):
    """Where batches come from: the same ones, in the same order, whenever an epoch is asked for again."""

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """The batches of one pass over the data, from number ``start`` on."""
        ...

    def settings(self) -> dict[str, int]:
        """What must be the same for a training to be resumed."""
        ...


class Batches:
    """Arrays, or lists of examples, in batches of B, in a new order at every epoch.

    Args:
        inputs: what the model is called with. An array has one axis for the examples: the second of (T, N, D) and of
            integers (T, N), as time comes first; else the first. A list holds the examples one by one, sequences (T, D) or
            of T integers, each of its own length; they are padded, and the model is also given ``lengths``.
        targets: an array (N, …) or (T, N, …), or a list as above; (or several inputs, the targets last).
        batch_size: B.
        shuffle: whether the order is a new one at every epoch, drawn with ``seed`` and the epoch's number.
        drop_last: whether the last batch of an epoch is left out if it has fewer than B examples.
        seed: an integer.
        lengths: (N,) the lengths of sequences that are padded already.
        batch_axis: the axis of the examples where it is another one, or one for each array.
        padding: what fills up targets.

    Raises:
        ShapeError: the arrays have different numbers of examples, or it cannot be told on which axis they lie.
        ArgumentError: another value that cannot be used.

    >>> pairs = Batches([[1, 2, 3], [4], [5, 6]], np.array([0, 1, 0]), batch_size=2, shuffle=False)
    >>> first = next(pairs.batches(epoch=0, start=0))
    >>> first.inputs[0]
    array([[1, 4],
           [2, 0],
           [3, 0]])
    >>> first.lengths, first.targets
    (array([3, 1]), array([0, 1]))
    """

    def __init__(
        self,
        inputs: Any,
        *targets: Any,
        batch_size: int = 32,
        shuffle: bool = True,
        drop_last: bool = False,
        seed: int = 0,
        lengths: npt.ArrayLike | None = None,
        batch_axis: int | Sequence[int] | None = None,
        padding: float = 0,
    ) -> None:
        self.batch_size = positive_size("batches", "batch_size", batch_size)
        self.shuffle, self.drop_last = switch("batches: shuffle", shuffle), switch("batches: drop_last", drop_last)
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**62:
            raise ArgumentError(f"batches: seed must be an integer ≥ 0, got {seed!r}")
        self.seed = int(seed)
        arrays = (inputs, *targets)
        axes = (batch_axis,) * len(arrays) if batch_axis is None or isinstance(batch_axis, int) else tuple(batch_axis)
        if len(axes) != len(arrays):
            raise ArgumentError(f"batches: batch_axis must be one number for each of {len(arrays)} arrays, got {batch_axis!r}")
        self._lengths = None if lengths is None else np.asarray(lengths)
        self._columns = _columns(arrays, axes)
        self._padding = padding
        count = len(self._columns[0])
        if not count:
            raise ArgumentError("batches: there is not one example")
        if self._lengths is not None and (self._lengths.shape != (count,) or self._lengths.dtype.kind not in "iu"):
            raise ShapeError(f"batches: lengths must be {count} integers, one for each example, got {lengths!r}")
        if self.drop_last and count < self.batch_size:
            raise ArgumentError(f"batches: drop_last leaves nothing of {count} examples in batches of {batch_size}")

    def __len__(self) -> int:
        """The number of batches of one epoch."""
        whole, rest = divmod(len(self._columns[0]), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one pass over the data, from number ``start`` on."""
        count = len(self._columns[0])
        order = np.random.default_rng([self.seed, epoch]).permutation(count) if self.shuffle else np.arange(count)
        for number in range(start, len(self)):
            chosen = order[number * self.batch_size : (number + 1) * self.batch_size]
            yield _batch(self._columns, chosen, self._lengths, self._padding)

    def settings(self) -> dict[str, int]:
        """What must be the same for a training to be resumed."""
        return {
            "examples": len(self._columns[0]),
            "batch_size": self.batch_size,
            "seed": self.seed if self.shuffle else -1,
            "drop_last": int(self.drop_last),
        }


def as_source(data: Any, batch_size: int = 32, seed: int = 0) -> Source:
    """Where the batches come from, for anything a training can learn from.

    | data | becomes |
    | --- | --- |
    | ``(xs, ys)``, a tuple of arrays or lists | `Batches` of them |
    | `Batches`, or any other `Source` | itself |
    | `models.streams.Streams` | its chunks, the state carried over from one to the next |
    | a function without arguments | the batches it returns when it is called, once for every epoch |
    | an iterable of batches | its batches; a generator lasts for one epoch |

    A batch is a tuple (inputs, targets), (inputs, more inputs, …, targets), or a `Batch`.
    """
    if isinstance(data, tuple):
        return Batches(*data, batch_size=batch_size, seed=seed)
    if isinstance(data, Streams):
        return FromStreams(data)
    if hasattr(data, "batches") and hasattr(data, "settings"):
        source: Source = data
        return source
    if callable(data) or (isinstance(data, Iterable) and not isinstance(data, str | np.ndarray | Tensor | dict)):
        return Drawn(data)
    raise ArgumentError(
        "expected data as a tuple (inputs, targets), Batches, Streams, an iterable of batches or a function that returns one; "
        f"got {type(data).__name__}"
    )


class FromStreams:
    """The chunks of a text's streams."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """The chunks of one pass over the text."""
        for number in range(start, len(self._streams)):
            chunk = self._streams[number]
            yield Batch((chunk.inputs,), chunk.targets, (1, 1), starts=chunk.starts)

    def settings(self) -> dict[str, int]:
        """How the text is cut."""
        return {"batch": self._streams.batch, "steps": self._streams.steps, "chunks": len(self._streams)}


class Drawn:
    """The batches of an iterable, or of what a function returns for every epoch."""

    def __init__(self, given: Any) -> None:
        self._given = given
        self._used_up = False

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """The batches of the iterable; those before ``start`` are drawn and passed over."""
        if self._used_up:
            raise ArgumentError(
                "a generator can be read once, and this training goes over its data again; give the function that makes the "
                "generator, or a list"
            )
        self._used_up = isinstance(self._given, Iterator)
        drawn = self._given() if callable(self._given) else self._given
        yield from map(_given_batch, islice(drawn, start, None))

    def settings(self) -> dict[str, int]:
        """Nothing is known of them."""
        return {}


# ---------------------------------------------------------------- what an array or a list of examples is


class _Stacked:
    """The examples of an array, on one axis of it."""

    def __init__(self, array: Array, axis: int) -> None:
        self.array, self.axis = array, axis

    def __len__(self) -> int:
        return int(self.array.shape[self.axis])

    def take(self, chosen: Array, padding: float) -> tuple[Array, Array | None]:
        return self.array.take(chosen, self.axis), None


class _Sequences:
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
        examples = [self.examples[k] for k in chosen]
        lengths = self.lengths[chosen]
        padded = np.full((int(lengths.max()), len(chosen), *examples[0].shape[1:]), padding, np.result_type(*examples))
        for b, example in enumerate(examples):
            padded[: len(example), b] = example
        return padded, lengths


_Column: TypeAlias = _Stacked | _Sequences


def _columns(arrays: Sequence[Any], axes: Sequence[int | None]) -> list[_Column]:
    """The inputs, and what is given beside them."""
    first = _column("inputs", arrays[0], axes[0])
    rest = enumerate(zip(arrays[1:], axes[1:], strict=True), 2)
    return [first, *(_beside(f"array {k} of {len(arrays)}", array, axis, first) for k, (array, axis) in rest)]


def _batch(columns: list[_Column], chosen: Array, lengths: Array | None = None, padding: float = 0) -> Batch:
    """The chosen examples."""
    taken = [column.take(chosen, padding if k else 0) for k, column in enumerate(columns)]
    axes, arrays = tuple(column.axis for column in columns), [array for array, _ in taken]
    lengths = taken[0][1] if lengths is None else lengths[chosen]
    if lengths is not None and (lengths == len(arrays[0])).all():
        lengths = None
    if len(columns) == 1:
        return Batch((arrays[0],), None, (*axes, 0), lengths)
    return Batch(tuple(arrays[:-1]), arrays[-1], axes, lengths, taken[-1][1])


def _column(name: str, given: Any, axis: int | None) -> _Column:
    """The inputs."""
    if isinstance(given, list):
        return _listed(name, given)
    array = _plain(name, given)
    if axis is None:
        axis = 1 if array.ndim > 2 or (array.ndim == 2 and array.dtype.kind in "iu") else 0
    return _Stacked(array, _axis(name, axis, array))


def _beside(name: str, given: Any, axis: int | None, inputs: _Column) -> _Column:
    """What is given beside the inputs: as many examples."""
    count = len(inputs)
    if isinstance(given, list):
        column: _Column = _listed(name, given, inputs)
    else:
        array = _plain(name, given)
        if axis is None:
            places = [k for k in (0, 1) if array.ndim > k and array.shape[k] == count]
            if len(places) > 1:
                raise ShapeError(f"batches: {name}, {array.shape}, has {count} on both of its first axes; say batch_axis=")
            if not places:
                raise ShapeError(_other_count(name, array, inputs))
            axis = places[0]
        column = _Stacked(array, _axis(name, axis, array))
    if len(column) != count:
        raise ShapeError(f"batches: the inputs are {count} examples, and {name} {len(column)}")
    return column


def _listed(name: str, given: list[Any], inputs: _Column | None = None) -> _Column:
    """A list of examples: numbers, vectors of one length, or sequences."""
    examples = [_plain(f"{name}, example {k}", example) for k, example in enumerate(given)]
    if not examples:
        raise ArgumentError(f"batches: {name}: there is not one example")
    dimensions = {example.ndim for example in examples}
    if len(dimensions) > 1:
        raise ShapeError(f"batches: {name}: examples have {', '.join(map(str, sorted(dimensions)))} axes; all need as many")
    if dimensions == {0}:
        return _Stacked(np.stack(examples), 0)
    lengths = [len(example) for example in examples]
    one_by_one = isinstance(inputs, _Sequences) and lengths == inputs.lengths.tolist()
    vectors = dimensions == {1} and len(set(lengths)) == 1 and examples[0].dtype.kind == "f"
    if vectors and one_by_one and inputs is not None and len(set(lengths)) == 1:
        raise ShapeError(
            f"batches: {name}: {lengths[0]} numbers for each example of {lengths[0]} steps can be one for each step or one "
            "vector; give an array (T, N) or (N, …)"
        )
    if vectors and not one_by_one:
        return _Stacked(np.stack(examples), 0)
    if inputs is None and dimensions == {1} and examples[0].dtype.kind == "f":
        raise ShapeError(f"batches: {name}: sequences of numbers are (T, D); make those of one number each (T, 1)")
    return _Sequences(name, examples)


def _plain(name: str, given: Any) -> Array:
    array = given.numpy() if isinstance(given, Tensor) else np.asarray(given)
    if array.dtype.kind not in "biuf":
        raise ArgumentError(f"batches: {name}: expected numbers, got {type(given).__name__} of {array.dtype}")
    return array


def _axis(name: str, axis: Any, array: Array) -> int:
    if isinstance(axis, bool) or not isinstance(axis, int | np.integer) or not 0 <= axis < array.ndim:
        raise ArgumentError(f"batches: {name}, {array.shape}, has no axis {axis!r} for the examples")
    return int(axis)


def _other_count(name: str, array: Array, inputs: _Column) -> str:
    """What is wrong where no axis has as many examples as the inputs, and what it looks like."""
    said = f"batches: the inputs are {len(inputs)} examples, and {name} is {array.shape}"
    if isinstance(inputs, _Stacked) and inputs.axis == 1 and array.shape[:1] == inputs.array.shape[:1]:
        said += (
            f". The inputs, {inputs.array.shape}, look as if their examples lay on the first axis; here time comes first: "
            "xs.swapaxes(0, 1), or a list of sequences"
        )
    return said


# ---------------------------------------------------------------- batches that come ready-made


def _given_batch(given: Any) -> Batch:
    if isinstance(given, Batch):
        return given
    if not isinstance(given, tuple | list) or not given:
        raise ArgumentError(f"a batch is a tuple (inputs, targets), got {type(given).__name__}")
    columns = _columns(given, (None,) * len(given))
    return _batch(columns, np.arange(len(columns[0])))
