"""Einstein's summation: every product of tensors, written as letters for axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.errors import ArgumentError, ShapeError
from minigrad.graph import Gradient, Operation
from minigrad.ops.indexing import getitem
from minigrad.ops.protocol import implements
from minigrad.ops.shape import as_tensor
from minigrad.recording import Constant, operand, record
from minigrad.scope import state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["einsum"]

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Einsum(Operation):
    """y[out] = Σ a[A] b[B] …, summed over every letter that is not in ``out``.

    ∂L/∂a[A] = Σ g[out] b[B] …, summed over every letter that is not in A: the letters of g and a change places. A letter
    of A that occurs nowhere else was summed by itself, so its gradient is the same along that axis.
    """

    __slots__ = ("letters", "optimize", "out", "shapes")
    letters: list[str]
    optimize: Any
    out: str
    shapes: list[tuple[int, ...]]
    label, symbol = "einsum", "Σ⊙"

    @property
    def keeps(self) -> tuple[int, ...]:  # type: ignore[override]
        """All operands, however many there are."""
        return tuple(range(len(self.shapes)))

    @property
    def subscripts(self) -> str:
        """The letters of the operands and of the result, as NumPy takes them."""
        return f"{','.join(self.letters)}->{self.out}"

    @override
    def compute(self, *parts: Any) -> Any:
        """The sum of products."""
        return np.einsum(self.subscripts, *parts, optimize=self.optimize)

    @override
    def lifted(self, lift: Any) -> Sequence[Any]:
        return [lift(array, source) for array, source in zip(self.needed(), self.sources, strict=True)]

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return [
            self._contribution(k, g, saved) if source is not None and source.requires_grad else None
            for k, source in enumerate(self.sources)
        ]

    def _contribution(self, k: int, g: Gradient, saved: Sequence[Any]) -> Gradient:
        others = [j for j in range(len(saved)) if j != k]
        sources = [self.out, *(self.letters[j] for j in others)]
        shared = [letter for letter in self.letters[k] if any(letter in source for source in sources)]
        contribution = np.einsum(f"{','.join(sources)}->{''.join(shared)}", g, *(saved[j] for j in others), optimize=True)
        if contribution.shape == self.shapes[k]:
            return contribution
        sizes = dict(zip(shared, contribution.shape, strict=True))
        apart = [sizes.get(letter, 1) for letter in self.letters[k]]
        full = np.broadcast_shapes(tuple(apart), self.shapes[k])
        return np.broadcast_to(contribution.reshape(tuple(apart)), full)


def _parsed(subscripts: Any, ndims: list[int]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with the dots spelled out."""
    if not isinstance(subscripts, str):
        raise ArgumentError(f"einsum: expected subscripts such as 'ij,jk->ik' first, got {type(subscripts).__name__}")
    left, arrow, out = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        raise ArgumentError(f"einsum: {subscripts!r} names {len(terms)} operands, got {len(ndims)}")
    unused = [letter for letter in LETTERS if letter not in subscripts]
    dots = max((n - len(term) + 3 for term, n in zip(terms, ndims, strict=True) if "..." in term), default=0)
    spelled = "".join(unused[: max(dots, 0)])
    terms = [_spelled(term, n, spelled, subscripts) for term, n in zip(terms, ndims, strict=True)]
    if not arrow:
        single = sorted(letter for letter in set(left) - {",", "."} if left.count(letter) == 1)
        return terms, spelled + "".join(single)
    out = out.replace("...", spelled)
    if len(set(out)) != len(out) or not set(out) <= set("".join(terms)):
        raise ArgumentError(f"einsum: in {subscripts!r} every letter after -> must occur there once, and before it")
    return terms, out


def _spelled(term: str, ndim: int, spelled: str, subscripts: str) -> str:
    if "..." in term:
        dots = ndim - len(term) + 3
        term = term.replace("...", spelled[len(spelled) - dots :] if dots > 0 else "", 1)
    if not all(letter in LETTERS for letter in term):
        raise ArgumentError(f"einsum: expected letters, commas, one -> and ..., got {subscripts!r}")
    if len(term) != ndim:
        raise ShapeError(f"einsum: {term!r} of {subscripts!r} names {len(term)} axes, the operand has {ndim}")
    return term


def _diagonal(x: Tensor | Constant, term: str, subscripts: str) -> tuple[Tensor, str]:
    """The entries of ``x`` at which the axes of a repeated letter agree, and each letter once."""
    lengths = dict(zip(term, x.shape, strict=True))
    if tuple(lengths[letter] for letter in term) != x.shape:
        raise ShapeError(f"einsum: a letter of {subscripts!r} stands for axes of different lengths in {x.shape}")
    along = dict(zip(lengths, np.ix_(*map(np.arange, lengths.values())), strict=True))
    return getitem(as_tensor(x, "einsum"), tuple(along[letter] for letter in term)), "".join(lengths)


def _check_order(optimize: Any) -> None:
    """Raise ArgumentError unless NumPy knows such an order of the products."""
    named = optimize in ("greedy", "optimal") if isinstance(optimize, str) else isinstance(optimize, bool | np.bool_)
    if not named and not (isinstance(optimize, list | tuple) and optimize and optimize[0] == "einsum_path"):
        raise ArgumentError(
            f"einsum: optimize: expected True, False, 'greedy', 'optimal' or what np.einsum_path returned, got {optimize!r:.60}"
        )


@implements(np.einsum)
def einsum(subscripts: str, *operands: Any, optimize: Any = True) -> Tensor:
    """Products of tensors summed over chosen axes, as NumPy's ``einsum`` with letters.

    Args:
        subscripts: a letter for each axis of each operand, and after ``->`` those of the result; ``...`` stands for
            further axes. ``"tbh,bh->tb"`` scores T states against one query; ``"ii->i"`` is a diagonal.
        *operands: the tensors.
        optimize: as in NumPy; the result does not depend on it.

    Raises:
        ArgumentError: the subscripts are malformed.
        ShapeError: they do not fit the shapes.

    >>> einsum("ij,jk->ik", Tensor([[1.0, 2.0]]), Tensor([[3.0], [4.0]])).numpy()
    array([[11.]])
    """
    _check_order(optimize)
    parts = [operand(part, "einsum") for part in operands]
    dtype = np.result_type(*(part._array for part in parts)) if parts else None
    parts = [Constant(np.asarray(part._array, dtype)) if isinstance(part._array, int | float) else part for part in parts]
    letters, out = _parsed(subscripts, [len(part.shape) for part in parts])
    for k, term in enumerate(letters):
        if len(set(term)) != len(term):
            parts[k], letters[k] = _diagonal(parts[k], term, subscripts)
    try:
        y = np.einsum(f"{','.join(letters)}->{out}", *(part._array for part in parts), optimize=optimize)
    except ValueError:
        shapes = ", ".join(str(part.shape) for part in parts)
        raise ShapeError(f"einsum: a letter of {subscripts!r} stands for axes of different lengths in {shapes}") from None
    if not (any(part._wants for part in parts) and state.recording):
        return unrecorded(np.array(y))
    node = Einsum()
    node.letters, node.out, node.shapes, node.optimize = letters, out, [part.shape for part in parts], optimize
    saved = tuple(part.lend(Einsum) for part in parts)
    return record(node, np.array(y), tuple(part._node for part in parts), saved, tuple(parts))
