"""Where batches come from: arrays, lists of sequences of any length, streams of a text, generators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from minigrad import Tensor
from minigrad.arguments import several
from minigrad.errors import ArgumentError, ShapeError
from minigrad.flags import switch
from minigrad.recording import plain

from ..checks import positive_size
from ..streams import Streams
from .batch import Batch
from .columns import batch_of, columns_of

__all__ = ["Batches", "Data", "Source", "as_source"]

Data: TypeAlias = "Source | Streams | tuple[Any, ...] | Iterable[Any] | Callable[[], Iterable[Any]]"
"""What a training can learn from; `as_source` says what becomes of each."""


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
        self.shuffle, self.drop_last = switch(shuffle, "batches: shuffle"), switch(drop_last, "batches: drop_last")
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**62:
            raise ArgumentError(f"batches: seed must be an integer ≥ 0, got {seed!r}")
        self.seed = int(seed)
        arrays = (inputs, *targets)
        axes: Sequence[int | None]
        if batch_axis is None or isinstance(batch_axis, int):
            axes = (batch_axis,) * len(arrays)
        else:
            axes = several(batch_axis, "batches: batch_axis", "one axis for each array")
        if len(axes) != len(arrays):
            raise ArgumentError(f"batches: batch_axis must be one number for each of {len(arrays)} arrays, got {batch_axis!r}")
        self._lengths = None if lengths is None else plain(lengths, "batches: lengths")
        self._columns = columns_of(arrays, axes)
        if not isinstance(padding, int | float | np.number | np.bool_):
            raise ArgumentError(f"batches: padding must be a number, got {padding!r:.60}")
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
            yield batch_of(self._columns, chosen, self._lengths, self._padding)

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

    def __len__(self) -> int:
        """The number of chunks of one pass over the text."""
        return len(self._streams)

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
        if not isinstance(drawn, Iterable):
            raise ArgumentError(f"data: expected a function that returns batches but it returned {drawn!r:.60}")
        yield from map(_given_batch, islice(drawn, start, None))

    def settings(self) -> dict[str, int]:
        """Nothing is known of them."""
        return {}


def _given_batch(given: Any) -> Batch:
    if isinstance(given, Batch):
        return given
    if not isinstance(given, tuple | list) or not given:
        raise ArgumentError(f"a batch is a tuple (inputs, targets), got {type(given).__name__}")
    try:
        columns = columns_of(given, (None,) * len(given))
    except ShapeError as problem:
        raise ShapeError(
            f"{problem}. Data that is no tuple holds batches one by one; if these are examples, give all inputs and all "
            "targets, ([x for x, _ in data], [y for _, y in data])"
        ) from None
    return batch_of(columns, np.arange(len(columns[0])))
