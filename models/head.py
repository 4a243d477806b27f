"""The output layer: from hidden states to the logits of a distribution."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from minigrad import Tensor, cross_entropy, scope
from minigrad.errors import ShapeError
from minigrad.module import Module

from .checks import Seed, positive_size
from .initialisers import Initialiser
from .recurrent import affine

__all__ = ["Head"]


class Head(Module):
    """The output layer (C4): logits ŷ_t = W_yh h_t + b_y of every step at once; softmax makes them a distribution.

    Parameters: W_yh (N, H), b_y (N,).

    Args:
        hidden_size: H.
        output_size: N, the number of classes or the size of the vocabulary.
        dtype: of the parameters.
        seed: integer or ``numpy.random.Generator`` for the initial values, uniform in (−1/√H, 1/√H); None: new each time.

    >>> head = Head(hidden_size=4, output_size=7, seed=0)
    >>> hs = Tensor(np.ones((5, 2, 4)))
    >>> head(hs).shape, head.loss(hs, np.zeros((5, 2), int)).shape
    ((5, 2, 7), ())
    """

    def __init__(
        self, hidden_size: int, output_size: int, *, dtype: npt.DTypeLike = np.float64, seed: Seed = None
    ) -> None:
        self.hidden_size = positive_size("head", "hidden_size", hidden_size)
        self.output_size = positive_size("head", "output_size", output_size)
        make = Initialiser("uniform", hidden_size, dtype, seed)
        self.W_yh = make.input("W_yh", output_size, hidden_size)
        self.b_y = make.bias("b_y", output_size)

    def forward(self, hs: Tensor | npt.ArrayLike) -> Tensor:
        """Logits (..., N) from hidden states (..., H). Raises ShapeError for another last axis."""
        hs = hs if isinstance(hs, Tensor) else Tensor(hs)
        if hs._array.shape[-1:] != (self.hidden_size,):
            raise ShapeError(f"head: hs must be (..., H) with H = {self.hidden_size}, got {hs.shape}")
        with scope("head"):
            return affine(hs, self.W_yh, self.b_y)

    def loss(self, hs: Tensor | npt.ArrayLike, targets: npt.ArrayLike) -> Tensor:
        """The cross-entropy of the logits, averaged over time and batch (C4).

        Args:
            hs: (T, B, H).
            targets: (T, B), integers from 0 to N − 1.

        Raises:
            LabelError: a target is not the number of a class.
        """
        return cross_entropy(self(hs), targets)
