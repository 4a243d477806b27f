"""The n-gram model with interpolated Kneser–Ney smoothing: the strongest simple model with a fixed window (C2, C4).

An n-gram model of order n knows the n−1 symbols before the one to predict. Kneser and Ney's (1995) way to mix what long
and short contexts know, in the interpolated form of Chen and Goodman (1999, section 2.7 and 3): with a context h, its
shortened form h′ without the symbol furthest back, and the number of times c(hw) that h was followed by w,

    P_n(w | h) = max(c(hw) − D, 0) / c(h·)  +  D · N₁₊(h·) / c(h·) · P_{n−1}(w | h′)

where c(h·) = Σ_w c(hw), and N₁₊(h·) is the number of different symbols that follow h: exactly the mass that the
discount D took away goes to the shorter context. A context never seen says nothing: P_n(w | h) = P_{n−1}(w | h′). The
recursion ends in the uniform distribution 1/N.

Only the longest contexts count occurrences. At every shorter length c(hw) is the number of different symbols seen
before hw ("San Francisco" makes "Francisco" frequent, but it follows one word only); the beginning of the text counts
as one. Every length has its own discount D = n₁ / (n₁ + 2 n₂), n_r being how many c(hw) equal r.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from minigrad.errors import ArgumentError

from .checks import positive_size
from .streams import check_symbols
from .vocabulary import IntArray

__all__ = ["NGram"]

FloatArray = NDArray[np.float64]
_BEFORE_THE_TEXT = -1


class NGram:
    """An interpolated Kneser–Ney model of any order, learnt from one sequence of symbols.

    Args:
        symbols: (n,) symbol numbers to learn from.
        order: how many symbols a longest n-gram has, so the window is order − 1 symbols; 1 has no window.
        size: N, how many symbols the vocabulary has.

    Raises:
        ArgumentError: the order or the size is not positive, or there is no symbol to learn from.
        ShapeError, LabelError: the symbols are not a sequence (n,) of integers 0 .. N−1.

    >>> model = NGram(np.array([0, 1, 0, 1, 0, 1, 2]), order=2, size=3)
    >>> model.distribution(np.array([0])).round(3)
    array([0.056, 0.917, 0.028])
    """

    def __init__(self, symbols: npt.ArrayLike, *, order: int, size: int) -> None:
        self.order = positive_size("n-gram model", "order", order)
        self.size = positive_size("n-gram model", "size", size)
        symbols = check_symbols(symbols, size)
        if not symbols.size:
            raise ArgumentError("an n-gram model needs at least one symbol to learn from, and the sequence is empty")
        if len(symbols) * self.size > np.iinfo(np.int64).max:
            raise ArgumentError(f"n-gram model: {len(symbols)} symbols of {self.size} make more pairs than can be numbered")
        self._levels = _count(symbols, self.order, self.size)

    @property
    def discounts(self) -> tuple[float, ...]:
        """The discount D of each length of context: 0, 1, …, order − 1 symbols."""
        return tuple(level.discount for level in self._levels)

    def probability(self, contexts: IntArray, symbols: IntArray) -> FloatArray:
        """P(symbol | context) for M pairs.

        Args:
            contexts: (M, m) the m symbols before each, the latest last; −1 stands for "before the text".
                Of more than order − 1 symbols only the latest are used.
            symbols: (M,) the symbols to predict.

        Returns:
            (M,) probabilities, above 0.

        >>> NGram(np.array([0, 1, 0, 1, 0, 1, 2]), order=2, size=3).probability(np.array([[0]]), np.array([1]))
        array([0.91666667])
        """
        result = np.full(len(symbols), 1 / self.size)
        context = np.zeros(len(symbols), dtype=np.int64)
        known = np.ones(len(symbols), dtype=bool)
        for length, level in enumerate(self._levels[: contexts.shape[1] + 1]):
            if length:
                further_back = contexts[:, -length]
                context, found = _find(level.contexts, context * self.size + further_back)
                known &= found & (further_back != _BEFORE_THE_TEXT)
            gram, seen = _find(level.grams, context * self.size + symbols)
            count = np.where(seen, level.counts[gram], 0)
            taken = np.maximum(count - level.discount, 0) + level.discount * level.kinds[context] * result
            result = np.where(known, taken / level.totals[context], result)
        return result

    def distribution(self, context: IntArray) -> FloatArray:
        """P(· | context), (N,), after the symbols ``context`` (m,), the latest last; it sums to 1."""
        window = context[max(len(context) - self.order + 1, 0) :]
        return self.probability(np.broadcast_to(window, (self.size, len(window))), np.arange(self.size))

    def log_probabilities(self, symbols: npt.ArrayLike) -> FloatArray:
        """ln P of every symbol but the first, each given those before it in the sequence (n,): (n−1,), in nats.

        >>> NGram(np.array([0, 1, 0, 1, 0, 1, 2]), order=2, size=3).log_probabilities(np.array([0, 1, 0])).round(3)
        array([-0.087, -0.405])
        """
        symbols = check_symbols(symbols, self.size)
        window = self.order - 1
        padded = np.concatenate([np.full(window, _BEFORE_THE_TEXT), symbols])
        contexts = np.lib.stride_tricks.sliding_window_view(padded, window) if window else padded[:, None][:, :0]
        return np.log(self.probability(contexts[1 : len(symbols)], symbols[1:]))

    def perplexity(self, symbols: npt.ArrayLike) -> float:
        """exp of the mean negative log-likelihood per symbol over all symbols of the sequence (n,) but the first.

        Raises:
            ArgumentError: fewer than two symbols: nothing to predict.
        """
        symbols = check_symbols(symbols, self.size)
        if len(symbols) < 2:
            raise ArgumentError(f"perplexity needs a sequence of at least 2 symbols, got {len(symbols)}")
        return float(np.exp(-self.log_probabilities(symbols).mean()))


@dataclass(frozen=True)
class _Level:
    """All contexts of one length and what followed them.

    A context of k symbols has a key, (number of its latest k−1 symbols) · N + (symbol furthest back), and a number: the
    place of the key in ``contexts``. The key of an n-gram is (number of its context) · N + (symbol).
    """

    contexts: IntArray  # (C,) keys, sorted
    grams: IntArray  # (G,) keys, sorted
    counts: IntArray  # (G,) c(hw)
    totals: IntArray  # (C,) c(h·)
    kinds: IntArray  # (C,) N₁₊(h·)
    discount: float


def _count(symbols: IntArray, order: int, size: int) -> list[_Level]:
    contexts = [np.zeros(1, dtype=np.int64)]
    numbers = [np.zeros(len(symbols), dtype=np.int64)]  # numbers[k][i]: the context of k symbols before symbol k + i
    for length in range(1, min(order, len(symbols))):
        further_back = symbols[: len(symbols) - length]
        keys, places = np.unique(numbers[-1][1:] * size + further_back, return_inverse=True)
        contexts.append(keys)
        numbers.append(places)
    longest = len(contexts) - 1
    grams, counts = np.unique(numbers[longest] * size + symbols[longest:], return_counts=True)
    levels = [_level(contexts[longest], grams, counts, size)]
    for length in range(longest - 1, -1, -1):
        shortened = contexts[length + 1][grams // size] // size * size + grams % size
        at_the_beginning = numbers[length][:1] * size + symbols[length]
        grams, counts = np.unique(np.concatenate([shortened, at_the_beginning]), return_counts=True)
        levels.insert(0, _level(contexts[length], grams, counts, size))
    return levels


def _level(contexts: IntArray, grams: IntArray, counts: IntArray, size: int) -> _Level:
    context = grams // size
    return _Level(
        contexts=contexts,
        grams=grams,
        counts=counts,
        totals=np.bincount(context, weights=counts, minlength=len(contexts)).astype(np.int64),
        kinds=np.bincount(context, minlength=len(contexts)),
        discount=_discount(counts),
    )


def _discount(counts: IntArray) -> float:
    """n₁ / (n₁ + 2 n₂); ½ where nothing was counted once, as in a text too small to estimate it."""
    once, twice = np.count_nonzero(counts == 1), np.count_nonzero(counts == 2)
    return once / (once + 2 * twice) if once else 0.5


def _find(keys: IntArray, wanted: IntArray) -> tuple[IntArray, NDArray[np.bool_]]:
    """The place of each wanted key among the sorted keys, and whether it is there at all (the place is 0 if not)."""
    places = np.searchsorted(keys, wanted)
    found = keys[np.minimum(places, len(keys) - 1)] == wanted
    return np.where(found, places, 0), found
