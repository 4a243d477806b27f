"""The architectures of C3, by how many inputs are read and how many outputs are written.

| class | T_x | T_y | for example |
| --- | --- | --- | --- |
| `OneToOne` | 1 | 1 | one step; no recurrence yet |
| `OneToMany` | 1 | any | from a genre to a melody |
| `ManyToOne` | any | 1 | from a review to its sentiment |
| `ManyToMany` | any | T_x | from words to their names' tags; a language model |
| `EncoderDecoder` (`models.encoder_decoder`) | any | any other | translation |

Inputs are time-major, xs (T, B, D). Outputs are logits (…, N), which softmax makes distributions, and targets are
integers; with a loss of one's own they are what it says: ``loss=mse_loss`` makes a regression.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad import Tensor, concatenate, cross_entropy, embedding, no_grad
from minigrad.errors import ArgumentError, ShapeError
from minigrad.module import Module, Parameter
from minigrad.recording import plain

from .checks import Seed, generator, positive_size
from .encoder_decoder import EncoderDecoder
from .head import Head
from .layers import RecurrentLayers
from .lengths import steps_that_count
from .sampling import IntArray, chosen, same_batch, symbols
from .states import parts_of, shape_of

__all__ = ["EncoderDecoder", "ManyToMany", "ManyToOne", "OneToMany", "OneToOne"]


class Architecture(Module):
    """Recurrent layers and a head over them.

    Args:
        cell: the name of a cell; or a cell of one's own, anything with ``step`` and ``initial_state``, or a list of them from
            the lowest layer up.
        input_size: D; only with a name.
        hidden_size: H; only with a name.
        output_size: N.
        loss: from outputs and targets to one number, the mean over all targets: `cross_entropy`, ``minigrad.mse_loss``,
            ``minigrad.binary_cross_entropy_with_logits`` or any function. It is given the steps that count only.
        dtype: of the parameters.
        seed: integer or ``numpy.random.Generator``; None: new each time.
        options: those of `models.layers.RecurrentLayers` and of the cell, such as ``bidirectional=True``.
    """

    def __init__(
        self,
        cell: Any,
        input_size: int | None = None,
        hidden_size: int | None = None,
        output_size: int | None = None,
        *,
        loss: Callable[[Tensor, Any], Tensor] = cross_entropy,
        dtype: npt.DTypeLike = np.float64,
        seed: Seed = None,
        **options: Any,
    ) -> None:
        rng = generator(seed)
        if output_size is None:
            raise ArgumentError(f"{type(self).__name__}: output_size is missing")
        if isinstance(cell, str):
            self.layers = RecurrentLayers(cell, input_size, hidden_size, dtype=dtype, seed=rng, **options)
        else:
            cells = cell if isinstance(cell, list | tuple) else [cell]
            self.layers = RecurrentLayers(cells, input_size, hidden_size, seed=rng, **options)
        width = sum(parts_of(top.initial_state(1))[-1].shape[-1] for top in self.layers.cells[-1])
        self.head = Head(width, output_size, dtype=dtype, seed=rng)
        if not callable(loss):
            raise ArgumentError(f"{type(self).__name__}: loss must be a function of outputs and targets, got {loss!r}")
        self.criterion = loss


class ManyToOne(Architecture):
    """A sequence in, one answer out: logits ŷ = W_yh h + b_y from the state after the whole sequence.

    In both directions h is [h_T forward, h_1 backward], each after its last step.

    >>> model = ManyToOne("gru", 3, 4, 2, bidirectional=True, seed=0)
    >>> model(np.ones((5, 6, 3)), lengths=[5, 1, 2, 3, 4, 5]).shape
    (6, 2)
    """

    def forward(
        self,
        xs: Tensor | npt.ArrayLike,
        lengths: npt.ArrayLike | None = None,
        *,
        mask: npt.ArrayLike | None = None,
        hoist: bool = True,
    ) -> Tensor:
        """Outputs (B, N) from xs (T, B, D) and the lengths (B,) of the examples, all T when left out, or a mask (T, B) of the
        steps that count; mask and hoist as in layers."""
        _, finals = self.layers.read(xs, lengths=lengths, mask=mask, hoist=hoist)
        return self.head.forward(parts_of(self.layers.final_state(finals))[-1])

    def loss(
        self,
        xs: Tensor | npt.ArrayLike,
        targets: npt.ArrayLike,
        lengths: npt.ArrayLike | None = None,
        *,
        mask: npt.ArrayLike | None = None,
        hoist: bool = True,
    ) -> Tensor:
        """The loss averaged over the batch; targets (B,), or what a loss of one's own takes."""
        outputs = self.forward(xs, lengths, mask=mask, hoist=hoist)
        _look_exchanged(shape_of(targets)[:1], shape_of(xs)[:1], outputs.shape[:1])
        return self.criterion(outputs, targets)


class OneToOne(Architecture):
    """One input, one answer: a single step, before which there is nothing to remember.

    >>> OneToOne("rnn", 3, 4, 2, seed=0)(np.ones((6, 3))).shape
    (6, 2)
    """

    def forward(self, x: Tensor | npt.ArrayLike, *, hoist: bool = True) -> Tensor:
        """Outputs (B, N) from x (B, D); hoist as in layers."""
        hs, _ = self.layers(one_step(x), hoist=hoist)
        return self.head.forward(hs[0])

    def loss(self, x: Tensor | npt.ArrayLike, targets: npt.ArrayLike, *, hoist: bool = True) -> Tensor:
        """The loss averaged over the batch; targets (B,), or what a loss of one's own takes."""
        return self.criterion(self.forward(x, hoist=hoist), targets)


class ManyToMany(Architecture):
    """An answer at every step, T_x = T_y: logits ŷ_t = W_yh h_t + b_y.

    Unidirectional, ŷ_t depends on x_1 … x_t only; bidirectional, on the whole sequence.

    >>> ManyToMany("lstm", 3, 4, 2, seed=0)(np.ones((5, 6, 3))).shape
    (5, 6, 2)
    """

    def forward(
        self,
        xs: Tensor | npt.ArrayLike,
        lengths: npt.ArrayLike | None = None,
        *,
        mask: npt.ArrayLike | None = None,
        hoist: bool = True,
    ) -> Tensor:
        """Outputs (T, B, N) from xs (T, B, D) and the lengths (B,) of the examples, all T when left out, or a mask (T, B) of
        the steps that count; mask and hoist as in layers."""
        hs, _ = self.layers(xs, lengths=lengths, mask=mask, hoist=hoist)
        return self.head.forward(hs)

    def loss(
        self,
        xs: Tensor | npt.ArrayLike,
        targets: npt.ArrayLike,
        lengths: npt.ArrayLike | None = None,
        *,
        mask: npt.ArrayLike | None = None,
        hoist: bool = True,
    ) -> Tensor:
        """The loss averaged over all steps that count; targets (T, B), or what a loss of one's own takes, whatever they hold
        at the others."""
        outputs = self.forward(xs, lengths, mask=mask, hoist=hoist)
        T, B, _ = outputs.shape
        valid = steps_that_count("loss", lengths, mask, T, B)
        _look_exchanged(shape_of(targets)[:2], (B, T), (T, B))
        if valid is None:
            return self.criterion(outputs, targets)
        wanted = plain(targets, "loss: targets")
        if wanted.shape[:2] != (T, B):
            raise ShapeError(f"loss: targets must be (T, B, …) = ({T}, {B}, …), got {wanted.shape}")
        return self.criterion(outputs[valid], wanted[valid])


class OneToMany(Architecture):
    """One input, a sequence out: every symbol y_t is fed back in as the next input, by its row of E.

        h_1 = step(x, h_0),   h_t = step(row y_{t−1} of E, h_{t−1}),   y_t drawn from softmax(W_yh h_t + b_y)

    Parameters: beside those of layers and head E (N, D). The layers read in one direction.

    >>> model = OneToMany("gru", 3, 4, 7, seed=0)
    >>> model.generate(np.ones((2, 3)), steps=5, seed=1).shape
    (5, 2)
    """

    def __init__(
        self,
        cell: Any,
        input_size: int | None = None,
        hidden_size: int | None = None,
        output_size: int | None = None,
        *,
        dtype: npt.DTypeLike = np.float64,
        seed: Seed = None,
        **options: Any,
    ) -> None:
        rng = generator(seed)
        if input_size is None:
            raise ArgumentError("one-to-many: input_size is missing; the rows of E are as long as x")
        of_layers = input_size if isinstance(cell, str) else None
        super().__init__(cell, of_layers, hidden_size, output_size, dtype=dtype, seed=rng, **options)
        if self.layers.num_directions > 1:
            raise ArgumentError("one-to-many: what is written step by step cannot be read backward; bidirectional=False")
        self.E = Parameter(rng.normal(size=(self.head.output_size, input_size)), dtype=dtype, name="E")

    def forward(self, x: Tensor | npt.ArrayLike, targets: npt.ArrayLike, *, hoist: bool = True) -> Tensor:
        """Logits (T, B, N) of y_1 … y_T, given x (B, D) and the true y_1 … y_{T−1} in targets (T, B)."""
        first, ys = one_step(x), symbols("one-to-many: targets", targets)
        if first.ndim != 3 or first.shape[2] != self.E.shape[1]:
            raise ShapeError(f"one-to-many: x must be (B, D) with D = {self.E.shape[1]}, got {first.shape[1:]}")
        same_batch("one-to-many", x=first.shape[1], targets=ys.shape[1])
        fed = concatenate([first, embedding(ys[:-1], self.E)])
        hs, _ = self.layers(fed, hoist=hoist)
        return self.head.forward(hs)

    def loss(self, x: Tensor | npt.ArrayLike, targets: npt.ArrayLike, *, hoist: bool = True) -> Tensor:
        """The loss averaged over time and batch."""
        return self.criterion(self.forward(x, targets, hoist=hoist), targets)

    @no_grad()
    def generate(
        self, x: Tensor | npt.ArrayLike, steps: int, *, temperature: float | None = 1.0, seed: Seed = None
    ) -> IntArray:
        """Symbols (steps, B), each drawn from its distribution and passed to the next step.

        Args:
            x: (B, D).
            steps: how many, at least 1.
            temperature: see `models.sampling.chosen`; None takes the likeliest symbol.
            seed: integer or ``numpy.random.Generator``; None: new each time.
        """
        rng, written, state = generator(seed), [], None
        fed = one_step(x)
        for _ in range(positive_size("generate", "steps", steps)):
            hs, state = self.layers(fed, state)
            written.append(chosen(self.head(hs[0]).numpy(), temperature, rng))
            fed = embedding(written[-1][None], self.E)
        return np.stack(written)


def one_step(x: Tensor | npt.ArrayLike) -> Tensor:
    """One input (B, D) as a sequence (1, B, D)."""
    return (x if isinstance(x, Tensor) else Tensor(x))[None]


def _look_exchanged(given: tuple[int, ...], batch_first: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Raise ShapeError if the first axes of the targets are as they would be with the batch first, and not as expected."""
    if given == batch_first != expected:
        raise ShapeError(
            f"loss: for these xs the targets must begin with the axes {expected}, got {given}; in xs or in the targets axes 0 "
            "and 1 look exchanged, as in data whose batch comes first: time comes first, xs.swapaxes(0, 1)"
        )
