"""The symbols of a text and their numbers: the border between strings and arrays.

A language model sees integers 0 .. N−1. A :class:`Vocabulary` says which symbol, a character or a word, each is.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigrad.arguments import count, named_one_of, several
from minigrad.arguments import text as words
from minigrad.errors import ArgumentError, DTypeError, IndexingError
from minigrad.recording import plain

__all__ = ["UNKNOWN", "IntArray", "Unit", "Vocabulary"]

IntArray = NDArray[np.int64]
Unit = Literal["character", "word"]

UNKNOWN = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, repr=False)
class Vocabulary:
    """N different symbols, numbered 0 .. N−1 in the order given.

    Args:
        symbols: the N symbols, each once; single characters, or words without white space.
        unit: ``"character"`` or ``"word"``: what one symbol is.
        unknown: the symbol (one of ``symbols``) that stands for every symbol that is not there; None refuses those.
        padding: the symbol (one of ``symbols``) that fills short sequences up; None when there is none.

    Raises:
        ArgumentError: no symbols, a symbol given twice or not one unit long, an unknown or padding symbol that is not
            among the symbols, or a unit that does not exist.

    >>> vocabulary = Vocabulary(("a", "b", "c"))
    >>> vocabulary.encode("cab")
    array([2, 0, 1])
    >>> vocabulary.decode([2, 0, 1])
    'cab'
    >>> len(vocabulary)
    3
    """

    symbols: tuple[str, ...]
    unit: Unit = "character"
    unknown: str | None = None
    padding: str | None = None

    def __post_init__(self) -> None:
        symbols = several(self.symbols, "vocabulary", "its symbols, such as ('a', 'b')")
        object.__setattr__(self, "symbols", tuple(words(symbol, "vocabulary: a symbol") for symbol in symbols))
        _check_unit(self.unit)
        if not self.symbols:
            raise ArgumentError("a vocabulary needs at least one symbol, and none was given")
        for symbol in self.symbols:
            if _tokens(symbol, self.unit) != [symbol]:
                raise ArgumentError(f"{symbol!r} is not one {self.unit}; every symbol must be exactly one")
        if len(self._numbers) < len(self.symbols):
            symbol, times = Counter(self.symbols).most_common(1)[0]
            raise ArgumentError(f"{symbol!r} was given {times} times; every symbol has one number")
        for role, special in (("unknown", self.unknown), ("padding", self.padding)):
            if special is not None and words(special, f"vocabulary: {role}") not in self._numbers:
                raise ArgumentError(f"the {role} symbol {special!r} must be one of the {len(self)} symbols")

    @classmethod
    def from_text(
        cls,
        text: str,
        *,
        unit: Unit = "character",
        max_size: int | None = None,
        min_count: int = 1,
        unknown: str | None = None,
        padding: str | None = None,
    ) -> "Vocabulary":
        """Count the symbols of a text and number them, the most frequent first (equal counts by code point).

        Args:
            text: where to count; words are what stands between white space.
            unit: ``"character"`` or ``"word"``.
            max_size: at most this many symbols, ``unknown`` and ``padding`` included.
            min_count: leave out what occurs less often than this.
            unknown: the symbol for all that is left out (:data:`UNKNOWN` is made for it), numbered after the others.
            padding: the filling symbol, numbered last.

        Raises:
            ArgumentError: something is left out and no ``unknown`` stands for it, or no symbol is left at all.

        >>> Vocabulary.from_text("banana", max_size=3, unknown="?").symbols
        ('a', 'n', '?')
        """
        _check_unit(unit)
        count(min_count, "from_text: min_count")
        if max_size is not None:
            count(max_size, "from_text: max_size")
        for name, special in (("unknown", unknown), ("padding", padding)):
            if special is not None:
                words(special, f"from_text: {name}")
        counts = Counter(_tokens(words(text, "from_text"), unit))
        specials = [special for special in (unknown, padding) if special is not None]
        for special in specials:
            del counts[special]
        ranked = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))
        kept = [symbol for symbol in ranked if counts[symbol] >= min_count]
        if max_size is not None:
            kept = kept[: max(max_size - len(specials), 0)]
        if len(kept) < len(ranked) and unknown is None:
            raise ArgumentError(
                f"max_size={max_size} and min_count={min_count} leave out {len(ranked) - len(kept)} of {len(ranked)} "
                f"{unit}s and nothing stands for them; give unknown=, for example unknown=models.vocabulary.UNKNOWN"
            )
        return cls((*kept, *specials), unit=unit, unknown=unknown, padding=padding)

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._numbers

    def __repr__(self) -> str:
        return f"Vocabulary of {len(self)} {self.unit}s"

    def number(self, symbol: str) -> int:
        """The number of one symbol, or that of ``unknown`` when it is not there.

        Raises:
            ArgumentError: the symbol is not there and the vocabulary has no unknown symbol.

        >>> Vocabulary(("a", "b", "?"), unknown="?").number("é")
        2
        """
        found = self._numbers.get(words(symbol, "number"))
        if found is not None:
            return found
        if self.unknown is None:
            raise ArgumentError(
                f"{symbol!r} is not among the {len(self)} {self.unit}s of the vocabulary; "
                f"make the vocabulary from a text that has it, or with unknown= to let one symbol stand for the rest"
            )
        return self._numbers[self.unknown]

    def encode(self, text: str) -> IntArray:
        """The numbers of a text's symbols, an array (n,) of int64.

        Raises:
            ArgumentError: a symbol is not there and the vocabulary has no unknown symbol.

        >>> Vocabulary(("to", "be", "or", "not"), unit="word").encode("to be or not to be")
        array([0, 1, 2, 3, 0, 1])
        """
        tokens = _tokens(words(text, "encode"), self.unit)
        numbers = {symbol: self.number(symbol) for symbol in dict.fromkeys(tokens)}
        return np.fromiter((numbers[token] for token in tokens), dtype=np.int64, count=len(tokens))

    def decode(self, numbers: ArrayLike) -> str:
        """The text of a sequence (n,) of numbers; words are joined by single spaces.

        Raises:
            DTypeError: the numbers are not integers.
            IndexingError: a number is negative or not below N.

        >>> Vocabulary(("to", "be", "or", "not"), unit="word").decode([0, 1, 2])
        'to be or'
        """
        array = plain(numbers, "decode").reshape(-1)
        if array.size and array.dtype.kind not in "iu":
            raise DTypeError(f"decode needs integers 0 .. {len(self) - 1}, got an array of {array.dtype}")
        bad = np.flatnonzero((array < 0) | (array >= len(self)))
        if bad.size:
            raise IndexingError(
                f"number {array[bad[0]]} at position {bad[0]} is no symbol; the vocabulary has 0 .. {len(self) - 1}"
            )
        return ("" if self.unit == "character" else " ").join(self.symbols[number] for number in array)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self.symbols)}


def _tokens(text: str, unit: Unit) -> Sequence[str]:
    return list(text) if unit == "character" else text.split()


def _check_unit(unit: str) -> None:
    named_one_of(unit, "vocabulary: unit", get_args(Unit))
