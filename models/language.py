"""The recurrent language model: at step t it estimates P(y_t given y_1 … y_{t−1}), with no window (C2, C3).

A sequence is encoded into a state; from the state the distribution of the next symbol is computed; a symbol drawn from
it can be fed back in, and so on. Symbols are integers 0 .. N−1; :class:`models.vocabulary.Vocabulary` says what they are.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad import Tensor, cross_entropy, no_grad, softmax
from minigrad.arguments import count, fitting_memory
from minigrad.errors import ArgumentError, NonFiniteGradientError
from minigrad.flags import switch
from minigrad.module import Module, Parameter
from minigrad.recording import plain
from minigrad.reporting import within

from .cells import make_cell
from .checks import Seed, generator, is_number, positive_size
from .head import Head
from .layers import RecurrentLayers
from .lengths import steps_that_count
from .sampling import symbols as time_major
from .streams import check_symbols
from .unrolling import checked_cell, unroll
from .vocabulary import IntArray

__all__ = ["LanguageModel"]

_STEPS_AT_ONCE = 256
_OF_LAYERS = {"residual", "dropout", "learn_initial_state"}
_NO_TARGET = -1


class LanguageModel(Module):
    """Embedding, recurrent cell, softmax head.

        e_t = row y_{t−1} of E                   embedding_size=None: e_t is y_{t−1} one-hot, and D = N
        h_t = cell.step(e_t, state_{t−1})
        p_t = softmax(W_yh h_t + b_y)            the distribution of y_t

    Parameters: E (N, D) unless embedding_size=None; those of the cell; head.W_yh (N, H), head.b_y (N,). With tied=True
    E and W_yh are one parameter, named E: the vector that a symbol is read as is the one its probability is computed with
    (Press and Wolf 2017; Inan and others 2017).

    Args:
        vocabulary_size: N.
        hidden_size: H.
        cell: ``"rnn"``, ``"gated_rnn"``, ``"gru"`` or ``"lstm"``; or a cell of one's own, or a list of them.
        embedding_size: D, or None to feed symbols in one-hot.
        num_layers: how many layers of cells.
        tied: whether E and W_yh are one parameter; D must be H then.
        dtype: of the parameters.
        seed: integer or ``numpy.random.Generator`` for the initial values; None: new each time.
        options: those of the cell, such as ``reset="after"``, and of `models.layers.RecurrentLayers`, such as ``dropout=0.2``.

    Raises:
        ArgumentError: a size that is not an integer ≥ 1, a cell or an option that does not exist, tied=True with D ≠ H, or
            layers that would read what they are to predict.

    >>> model = LanguageModel(vocabulary_size=5, hidden_size=8, cell="gru", seed=0)
    >>> logits, state = model(np.array([[0, 1], [2, 3], [4, 0]]))
    >>> logits.shape, state.shape
    ((3, 2, 5), (2, 8))
    """

    def __init__(
        self,
        vocabulary_size: int,
        hidden_size: int,
        *,
        cell: Any = "lstm",
        embedding_size: int | None = None,
        num_layers: int = 1,
        tied: bool = False,
        dtype: npt.DTypeLike = np.float64,
        seed: Seed = None,
        **options: Any,
    ) -> None:
        self.vocabulary_size = positive_size("language model", "vocabulary_size", vocabulary_size)
        self.hidden_size = positive_size("language model", "hidden_size", hidden_size)
        self.embedding_size = embedding_size
        rng = generator(seed)
        if embedding_size is None:
            self.E = None
        else:
            positive_size("language model", "embedding_size", embedding_size)
            with fitting_memory(f"E: {(vocabulary_size, embedding_size)} numbers"):
                self.E = Parameter(rng.normal(size=(vocabulary_size, embedding_size)), dtype=dtype, name="E")
        self.num_layers, self.options = positive_size("language model", "num_layers", num_layers), options
        self.cell = self._layers(cell, embedding_size or vocabulary_size, hidden_size, dtype, rng)
        self.head = Head(hidden_size, vocabulary_size, dtype=dtype, seed=rng)
        self.tied = switch(tied, "language model: tied")
        if tied:
            if embedding_size != hidden_size:
                raise ArgumentError(
                    "language model: tied=True makes E and W_yh one parameter, so embedding_size must be hidden_size = "
                    f"{hidden_size}, got {embedding_size}"
                )
            self.E = self.head.W_yh = Parameter(self.head.W_yh.numpy(), name="E")

    def _layers(self, cell: Any, input_size: int, hidden_size: int, dtype: npt.DTypeLike, rng: np.random.Generator) -> Any:
        """One cell, or layers of them."""
        options, number = self.options, self.num_layers
        if options.get("bidirectional"):
            raise ArgumentError("language model: layers that read backward would read what they are to predict")
        if not isinstance(cell, str):
            cells = cell if isinstance(cell, list) else [cell]
            if len(cells) != number:
                raise ArgumentError(f"language model: num_layers={number} needs a list of as many cells, got {len(cells)}")
            if number == 1 and not options:
                return checked_cell("language model: expected the name of a cell, or a cell", cells[0])
            return RecurrentLayers(cells, seed=rng, **options)
        if number == 1 and not options.keys() & _OF_LAYERS:
            return make_cell(cell, input_size, hidden_size, dtype=dtype, seed=rng, **options)
        return RecurrentLayers(cell, input_size, hidden_size, num_layers=number, dtype=dtype, seed=rng, **options)

    def initial_state(self, batch: int) -> Any:
        """The state before the first symbol."""
        return self.cell.initial_state(batch)

    def embed(self, symbols: npt.ArrayLike) -> Tensor:
        """The inputs (..., D) of the cell for symbols (...).

        Raises:
            LabelError: a symbol is not 0 .. N−1; none wraps round.
        """
        symbols = plain(symbols, "language model: symbols")
        symbols = check_symbols(symbols.reshape(-1), self.vocabulary_size).reshape(symbols.shape)
        if self.E is not None:
            return self.E[symbols]
        return Tensor(np.eye(self.vocabulary_size, dtype=self.head.W_yh.dtype)[symbols])

    def forward(
        self,
        symbols: npt.ArrayLike,
        state: Any = None,
        lengths: npt.ArrayLike | None = None,
        *,
        mask: npt.ArrayLike | None = None,
        hoist: bool = True,
    ) -> tuple[Tensor, Any]:
        """What is predicted after every symbol.

        Args:
            symbols: (T, B), time first.
            state: the state before the first of them, zeros when left out.
            lengths: (B,) of the sequences, all T when left out.
            mask: (T, B) booleans, False where a symbol is padding or a hole, as in `models.layers`; it may be any number.
            hoist: as in `models.layers`; False shows every step whole in the graph.

        Returns:
            Logits (T, B, N), row t−1 those of the symbol after symbols[t−1], and the final state.

        Raises:
            ShapeError, LabelError: the symbols are not (T, B), T ≥ 1, or not integers 0 .. N−1; or lengths or mask do not fit.
        """
        given = time_major("language model: symbols", symbols)
        valid = steps_that_count("language model", lengths, mask, *given.shape)
        inputs = self.embed(given if valid is None else np.where(valid, given, 0))
        if isinstance(self.cell, RecurrentLayers):
            hs, state = self.cell(inputs, state, mask=valid, hoist=hoist)
        else:
            hs, state = unroll(self.cell, inputs, state, hoist, mask=valid)
        return self.head(hs), state

    def loss(
        self,
        symbols: npt.ArrayLike,
        targets: npt.ArrayLike,
        state: Any = None,
        lengths: npt.ArrayLike | None = None,
        *,
        mask: npt.ArrayLike | None = None,
        hoist: bool = True,
    ) -> tuple[Tensor, Any]:
        """The cross-entropy in nats, averaged over all steps that count (C4), and the final state.

        Args:
            symbols: (T, B), time first.
            targets: (T, B), the symbol after each of them.
            state: the state before the first of them, zeros when left out.
            lengths: (B,) of the sequences, all T when left out.
            mask: as for a call; where it is False no target counts.
            hoist: as for a call.
        """
        logits, state = self.forward(symbols, state, lengths, mask=mask, hoist=hoist)
        T, B, _ = logits.shape
        return cross_entropy(logits, targets, mask=steps_that_count("language model", lengths, mask, T, B)), state

    @no_grad()
    def distribution(self, symbols: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """P(· | symbols), (N,), after a sequence (n,) of at least one symbol."""
        logits, _ = self(_sequence(symbols, 1)[:, None])
        return _distribution(logits.numpy()[-1, 0], 1.0)

    @no_grad()
    def perplexity(self, symbols: npt.ArrayLike, *, lanes: int = 1) -> float:
        """exp of the mean negative log-likelihood per symbol over all symbols of the sequence (n,) but the first.

        Args:
            symbols: (n,), at least 2.
            lanes: into how many parts of equal length the sequence is cut, to be read side by side, each beginning in
                the zero state. Every prediction is counted whatever the number; 1 is exact, more are faster and, since
                the first symbols of a part lack their context, never to the model's advantage on a long text.

        Raises:
            ArgumentError: fewer than two symbols, or fewer than one lane.

        >>> model = LanguageModel(vocabulary_size=5, hidden_size=8, seed=0)
        >>> for parameter in model.head.parameters():
        ...     parameter.data[...] = 0
        >>> round(model.perplexity(np.array([0, 3, 1, 4])), 12)
        5.0
        """
        symbols = _sequence(symbols, 2)
        number = len(symbols) - 1
        lanes = min(positive_size("perplexity", "lanes", lanes), number)
        length = math.ceil(number / lanes)
        filling = np.full(lanes * length - number, _NO_TARGET)
        inputs = np.concatenate([symbols[:-1], np.zeros_like(filling)]).reshape(lanes, length).T
        targets = np.concatenate([symbols[1:], filling]).reshape(lanes, length).T
        nats, state = 0.0, None
        for start in range(0, length, _STEPS_AT_ONCE):
            rows = slice(start, start + _STEPS_AT_ONCE)
            logits, state = self(inputs[rows], state)
            nats += cross_entropy(logits, targets[rows], reduction="sum", ignore_index=_NO_TARGET).item()
        return float(np.exp(nats / number))

    @no_grad()
    def sample(
        self,
        length: int,
        *,
        prompt: npt.ArrayLike,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: Seed = None,
    ) -> IntArray:
        """Draw symbols one after the other, each from the distribution given all before it, and feed it back in (C3).

        Args:
            length: how many to draw.
            prompt: (m,) symbols the sequence begins with, at least 1; not part of what is returned.
            temperature: p^(1/temperature) is drawn from; below 1 the likely becomes likelier, above 1 less so.
            top_k: draw among the k likeliest only; None for all.
            seed: integer or ``numpy.random.Generator``; None: new each time.

        Returns:
            (length,) symbols.

        Raises:
            ArgumentError: an empty prompt, a length that is no integer ≥ 0, a temperature that is not positive and finite,
                or a top_k that is no integer ≥ 1.
            NonFiniteGradientError: the model gives no distribution, because its weights are not finite or too large.

        >>> model = LanguageModel(vocabulary_size=5, hidden_size=8, seed=0)
        >>> model.sample(6, prompt=np.array([0]), seed=1)
        array([2, 4, 0, 4, 1, 1])
        """
        length = count(length, "sample: length")
        if top_k is not None:
            positive_size("sample", "top_k", top_k)
        if not is_number(temperature) or not 0 < temperature < math.inf:
            raise ArgumentError(f"sample: temperature must be a positive finite number, got {temperature!r}")
        rng = generator(seed)
        logits, state = self(_sequence(prompt, 1)[:, None])
        with fitting_memory(f"sample: {length} symbols"):
            drawn = np.empty(length, dtype=np.int64)
        for place in range(length):
            p = _distribution(logits.numpy()[-1, 0], temperature, top_k)
            drawn[place] = rng.choice(self.vocabulary_size, p=p)
            logits, state = self(drawn[place : place + 1, None], state)
        return drawn


def _distribution(
    logits: npt.NDArray[Any], temperature: float, top_k: int | None = None
) -> npt.NDArray[np.float64]:
    if not np.isfinite(logits).all():
        raise NonFiniteGradientError(
            "the logits are NaN or infinite, so there is no distribution: the model's weights are not finite or far too "
            "large; clip gradients to a smaller norm or lower the learning rate"
        )
    scores = logits.astype(np.float64)
    scores = within({"over": "ignore"}, np.divide, scores - scores.max(), temperature)  # −∞ for what is out of reach
    if top_k is not None and top_k < len(scores):
        scores[np.argsort(-scores, kind="stable")[top_k:]] = -np.inf
    return softmax(Tensor(scores)).numpy()


def _sequence(symbols: npt.ArrayLike, shortest: int) -> IntArray:
    array = check_symbols(symbols)
    if len(array) < shortest:
        raise ArgumentError(f"a sequence of at least {shortest} symbols is needed, got {len(array)}")
    return array
