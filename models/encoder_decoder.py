"""The encoder–decoder: a sequence is read into a state, then another, of another length, is written from it (C2, C3).

    encoder    m_1 … m_T, s_T = layers over the embedded x_1 … x_{T_x}, in one or both directions
    decoder    s_0 = the encoder's final states (both directions side by side)
               [context_t, α_t = attention(h_{t−1}, m_1 … m_T)]
               s_t = step([row y_{t−1} of E, context_t], s_{t−1}),  y_0 = start
               y_t ~ softmax(W_yh h_t + b_y), until y_t = end

Symbols are integers, time-major: xs (T_x, B), ys (T_y, B).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from minigrad import Tensor, concatenate, cross_entropy, dropout, embedding, no_grad, scope, stack, time_step
from minigrad.errors import ArgumentError
from minigrad.module import Module, Parameter

from .attention import Memory, make_attention
from .cells import make_cell
from .checks import Seed, generator, positive_size, probability
from .head import Head
from .layers import RecurrentLayers
from .lengths import steps_that_count
from .sampling import IntArray, chosen, same_batch, symbols
from .states import parts_of
from .unrolling import scope_if

__all__ = ["EncoderDecoder", "Written"]


class Written(NamedTuple):
    """What a decoder wrote: symbols (T_y, B), after an example's end only ends; attention weights (T_y, B, T_x) or None."""

    symbols: IntArray
    weights: npt.NDArray[Any] | None


class Encoded(NamedTuple):
    """What the decoder is given: its initial states, one for each layer, and the memory if there is attention."""

    states: list[Any]
    memory: Memory | None
    batch: int


class EncoderDecoder(Module):
    """Many-to-many with T_x ≠ T_y.

    Args:
        cell: the name of the cell of both parts.
        source_size: the number of symbols of the source, 0 … source_size − 1.
        target_size: N, the number of symbols of the target, with start and end among them.
        embedding_size: D, of either side's symbols.
        hidden_size: H, of the encoder in each direction; the decoder's states are H · directions wide.
        start: the symbol y_0 that the decoder begins with; it is never a target.
        end: the symbol that ends a target.
        num_layers: of encoder and decoder.
        dropout: the probability with which each entry of what passes from one layer to the next is dropped, in encoder and
            decoder, in training mode; see `models.layers.RecurrentLayers`.
        bidirectional: whether the encoder reads in both directions.
        attention: None, ``"dot"`` or ``"additive"``, see `models.attention`.
        dtype: of the parameters.
        seed: integer or ``numpy.random.Generator``; None: new each time.
        options: those of the cell.

    Raises:
        ArgumentError: a size, name or option that does not exist; start and end that are not two symbols of the target.

    >>> model = EncoderDecoder("gru", 7, 5, embedding_size=3, hidden_size=4, start=0, end=1, attention="dot", seed=0)
    >>> logits, weights = model(xs=np.array([[2, 3], [4, 6], [1, 0]]), ys=np.array([[2, 3], [4, 1], [1, 1]]))
    >>> logits.shape, weights.shape
    ((3, 2, 5), (3, 2, 3))
    """

    def __init__(
        self,
        cell: str,
        source_size: int,
        target_size: int,
        *,
        embedding_size: int,
        hidden_size: int,
        start: int,
        end: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        attention: str | None = None,
        dtype: npt.DTypeLike = np.float64,
        seed: Seed = None,
        **options: Any,
    ) -> None:
        rng = generator(seed)
        for name, size in (("source_size", source_size), ("target_size", target_size), ("embedding_size", embedding_size)):
            positive_size("encoder–decoder", name, size)
        if start == end or not all(symbol in range(target_size) for symbol in (start, end)):
            raise ArgumentError(
                f"encoder–decoder: start and end must be two of the symbols 0 … {target_size - 1}, got {start!r} and {end!r}"
            )
        self.start, self.end, self.target_size = start, end, target_size
        self.E_x = Parameter(rng.normal(size=(source_size, embedding_size)), dtype=dtype, name="E_x")
        self.E_y = Parameter(rng.normal(size=(target_size, embedding_size)), dtype=dtype, name="E_y")
        self.encoder = RecurrentLayers(
            cell, embedding_size, hidden_size, num_layers=num_layers, bidirectional=bidirectional,
            dropout=dropout, dtype=dtype, seed=rng, **options,
        )
        width = hidden_size * self.encoder.num_directions
        self.attention = None if attention is None else make_attention(attention, width, width, dtype, rng)
        read = embedding_size if attention is None else embedding_size + width
        self.decoder = [
            make_cell(cell, read if layer == 0 else width, width, dtype=dtype, seed=rng, **options)
            for layer in range(num_layers)
        ]
        self.head = Head(width, target_size, dtype=dtype, seed=rng)

    # ---------------------------------------------------------------- reading

    def encode(
        self,
        xs: Tensor | npt.ArrayLike,
        lengths: npt.ArrayLike | None = None,
        *,
        mask: npt.ArrayLike | None = None,
        hoist: bool = True,
    ) -> Encoded:
        """Read sources (T_x, B) of the given lengths (B,), all T_x when left out; ``mask`` and ``hoist`` as in
        `models.layers`. What does not count is not attended to either."""
        source = symbols("encoder–decoder: xs", xs)
        T, B = source.shape
        valid = steps_that_count("encoder–decoder", lengths, mask, T, B)
        with scope("encoder"):
            known = source if valid is None else np.where(valid, source, 0)
            ms, finals = self.encoder.read(embedding(known, self.E_x), mask=valid, hoist=hoist)
            states = [self.encoder.final_state(finals, layer) for layer in range(len(self.decoder))]
        return Encoded(states, None if self.attention is None else self.attention.remember(ms, valid), B)

    # ---------------------------------------------------------------- writing

    def write_step(self, previous: IntArray, states: list[Any], memory: Memory | None) -> tuple[list[Any], Tensor, Any]:
        """One step of the decoder: new states, its output h_t (B, H · directions), and α_t (T_x, B) or None.

        Args:
            previous: y_{t−1}, (B,).
            states: one for each layer.
            memory: what is attended to, or None.
        """
        x, α = embedding(previous, self.E_y), None
        if self.attention is not None and memory is not None:
            context, α = self.attention(parts_of(states[-1])[-1], memory)
            x = concatenate([x, context], axis=-1)
        new = []
        for number, (cell, state) in enumerate(zip(self.decoder, states, strict=True), 1):
            with scope_if(len(self.decoder) > 1, f"layer {number}"), scope(cell.label):
                if number > 1:
                    x = dropout(x, self.encoder.dropout, self.training, rng=self.encoder.rng)
                new.append(cell.step(x, state))
            x = parts_of(new[-1])[-1]
        return new, x, α

    def forward(
        self,
        xs: Tensor | npt.ArrayLike,
        ys: Tensor | npt.ArrayLike,
        lengths: npt.ArrayLike | None = None,
        *,
        mask: npt.ArrayLike | None = None,
        teacher_forcing: float = 1.0,
        seed: Seed = None,
        hoist: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """Logits of every target symbol given the source and what stands before it.

        Args:
            xs: sources (T_x, B).
            ys: targets y_1 … y_{T_y}, (T_y, B), each ended by ``end`` and filled up with it.
            lengths: of the sources, (B,).
            mask: (T_x, B) booleans, False where a symbol of a source does not count.
            teacher_forcing: the probability, for each step and example, that y_{t−1} is the true one and not the
                likeliest under the model; a schedule from `models.teacher_forcing` gives it for each training step.
            seed: of these decisions.
            hoist: False shows every step of the encoder whole, which is the better picture; the numbers are the same.

        Returns:
            Logits (T_y, B, N), and attention weights (T_y, B, T_x) or None.
        """
        targets = symbols("encoder–decoder: ys", ys)
        truth, rng = probability("teacher_forcing", teacher_forcing), generator(seed)
        states, memory, batch = self.encode(xs, lengths, mask=mask, hoist=hoist)
        same_batch("encoder–decoder", xs=batch, ys=targets.shape[1])
        previous = np.full(batch, self.start)
        hs, weights = [], []
        with scope("decoder"):
            for t in range(1, len(targets) + 1):
                with time_step(t):
                    states, h, α = self.write_step(previous, states, memory)
                hs.append(h)
                weights.append(α)
                previous = targets[t - 1]
                if truth < 1:
                    with no_grad():
                        likeliest = chosen(self.head(h).numpy(), None, rng)
                    previous = np.where(rng.random(batch) < truth, previous, likeliest)
        return self.head(stack(hs)), None if memory is None else stack(weights).transpose(0, 2, 1)

    def loss(
        self,
        xs: Tensor | npt.ArrayLike,
        ys: Tensor | npt.ArrayLike,
        lengths: npt.ArrayLike | None = None,
        *,
        mask: npt.ArrayLike | None = None,
        teacher_forcing: float = 1.0,
        seed: Seed = None,
    ) -> Tensor:
        """The cross-entropy averaged over all symbols up to each target's first ``end``; arguments as for a call."""
        targets = symbols("encoder–decoder: ys", ys)
        ended = np.cumsum(targets == self.end, axis=0) - (targets == self.end) > 0
        logits, _ = self(xs, targets, lengths, mask=mask, teacher_forcing=teacher_forcing, seed=seed)
        return cross_entropy(logits, targets, mask=~ended)

    @no_grad()
    def write(
        self,
        xs: Tensor | npt.ArrayLike,
        lengths: npt.ArrayLike | None = None,
        *,
        mask: npt.ArrayLike | None = None,
        max_steps: int,
        temperature: float | None = None,
        seed: Seed = None,
    ) -> Written:
        """Write a target for each source, symbol by symbol, until all have ended.

        Args:
            xs: sources (T_x, B).
            lengths: of the sources, (B,).
            mask: (T_x, B) booleans, False where a symbol of a source does not count.
            max_steps: the most that is written, ended or not.
            temperature: None writes the likeliest symbol at each step (greedy); a number draws, see `models.sampling`.
            seed: of the draws.

        >>> model = EncoderDecoder("lstm", 7, 5, embedding_size=3, hidden_size=4, start=0, end=1, seed=0)
        >>> model.write(np.array([[2, 3], [4, 6]]), max_steps=4, temperature=1.0, seed=0).symbols.shape[1]
        2
        """
        rng = generator(seed)
        states, memory, batch = self.encode(xs, lengths, mask=mask)
        previous, ended = np.full(batch, self.start), np.zeros(batch, bool)
        written, weights = [], []
        for _ in range(positive_size("write", "max_steps", max_steps)):
            states, h, α = self.write_step(previous, states, memory)
            previous = np.where(ended, self.end, chosen(self.head(h).numpy(), temperature, rng))
            ended |= previous == self.end
            written.append(previous)
            weights.append(α)
            if ended.all():
                break
        seen = None if memory is None else np.stack([α.numpy().T for α in weights])
        return Written(np.stack(written), seen)

