"""A long text as many short ones that are read side by side: the data of truncated backpropagation through time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minigrad.errors import ArgumentError, IndexingError, LabelError, ShapeError
from minigrad.recording import plain

from .checks import positive_size
from .vocabulary import IntArray

__all__ = ["Chunk", "Streams", "check_symbols"]


@dataclass(frozen=True)
class Chunk:
    """T steps of every stream. ``targets[t, b]`` is the symbol that follows ``inputs[t, b]`` in the text.

    Attributes:
        inputs: (T, B) symbol numbers.
        targets: (T, B) symbol numbers.
        starts: True for the first chunk of the streams, whose initial state is zero; every other chunk begins in the
            state that the chunk before it ended in.
    """

    inputs: IntArray
    targets: IntArray
    starts: bool


class Streams:
    """A sequence of symbols cut into B contiguous streams, read side by side in chunks of T steps.

    Stream b holds the b-th part of the text. Chunk k of a stream goes on where chunk k−1 ended, so the state is carried
    over from chunk to chunk, while gradients stop at the border: backpropagation through time truncated after T steps.
    The n−1 predictions of the text are dealt out evenly; the few at each stream's end that fill no chunk are left out.

    Args:
        symbols: (n,) symbol numbers of the whole text.
        batch: B, how many streams.
        steps: T, how many steps a chunk has.

    Raises:
        ArgumentError: B or T is no integer ≥ 1, or the text is too short for one chunk of B streams.
        ShapeError, LabelError: the symbols are not a sequence (n,) of integers ≥ 0.

    >>> streams = Streams(np.arange(9), batch=2, steps=2)
    >>> len(streams)
    2
    >>> streams[1].inputs
    array([[2, 6],
           [3, 7]])
    >>> streams[1].targets
    array([[3, 7],
           [4, 8]])
    """

    def __init__(self, symbols: npt.ArrayLike, *, batch: int, steps: int) -> None:
        symbols = check_symbols(symbols)
        batch, steps = positive_size("streams", "batch", batch), positive_size("streams", "steps", steps)
        if len(symbols) < batch * steps + 1:
            raise ArgumentError(
                f"{batch} streams of {steps} steps need {batch * steps + 1} symbols, and the text has {len(symbols)}; "
                f"give a longer text, fewer streams or shorter sequences"
            )
        self.batch = batch
        self.steps = steps
        length = (len(symbols) - 1) // batch
        self._chunks = length // steps
        self._inputs = symbols[: batch * length].reshape(batch, length).T
        self._targets = symbols[1 : batch * length + 1].reshape(batch, length).T

    def __len__(self) -> int:
        return self._chunks

    def __getitem__(self, chunk: int) -> Chunk:
        """Chunk number ``chunk`` (0 .. len−1) of one pass over the text; IndexingError for another."""
        if isinstance(chunk, bool) or not isinstance(chunk, int | np.integer) or not 0 <= chunk < len(self):
            raise IndexingError(f"chunk {chunk!r:.60} does not exist; there are 0 .. {len(self) - 1}")
        rows = slice(chunk * self.steps, (chunk + 1) * self.steps)
        return Chunk(
            inputs=np.ascontiguousarray(self._inputs[rows]),
            targets=np.ascontiguousarray(self._targets[rows]),
            starts=chunk == 0,
        )

    def __iter__(self) -> Iterator[Chunk]:
        return (self[chunk] for chunk in range(len(self)))


def check_symbols(symbols: npt.ArrayLike, size: int | None = None) -> IntArray:
    """A sequence (n,) of symbol numbers 0 .. size−1 as an array; anything else is refused.

    Raises:
        ShapeError: not one-dimensional.
        LabelError: not integers, negative, or not below ``size``.

    >>> check_symbols([0, 2, 1], size=3)
    array([0, 2, 1])
    """
    array = plain(symbols, "symbols")
    if array.dtype.kind not in "iu" and (array.size or array.dtype.kind != "f"):
        raise LabelError(f"symbols are integers, and these are {array.dtype}; Vocabulary.encode gives the right ones")
    if array.ndim != 1:
        raise ShapeError(f"a sequence of symbols has shape (n,), this one {array.shape}; encode one text at a time")
    if array.size and (array.min() < 0 or (size is not None and array.max() >= size)):
        bad = array.min() if array.min() < 0 else array.max()
        raise LabelError(f"symbol {bad} is outside 0 .. {'N−1' if size is None else size - 1}")
    return array.astype(np.int64, copy=False)
