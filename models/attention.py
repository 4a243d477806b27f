"""Attention: at every output step, a weighted mean of all that the encoder saw, with weights that the decoder chooses.

    e_k = score(q, m_k)                    how well the memory at input step k fits the query
    α   = softmax over k of e              weights: non-negative, sum 1
    context = Σ_k α_k m_k

The query q is the decoder's state before the step, the memory m_1 … m_T are the encoder's outputs, time-major.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from minigrad import Tensor, softmax, tanh, where
from minigrad.errors import ArgumentError, ShapeError
from minigrad.module import Module

from .checks import Seed, one_of, positive_size
from .initialisers import Initialiser
from .lengths import Valid
from .recurrent import affine

__all__ = ["ATTENTIONS", "AdditiveAttention", "Attention", "DotAttention", "Memory", "make_attention"]

NEVER = -1e30
"""The score of a step that does not count: its weight is exactly 0."""


class Memory(NamedTuple):
    """What is attended to: the encoder's outputs ms (T, B, E), what the score needs of them, and which steps count."""

    ms: Tensor
    keys: Tensor
    valid: Valid


class Attention(Module, ABC):
    """The base of the two scores."""

    @abstractmethod
    def keys(self, ms: Tensor) -> Tensor:
        """What the score needs of the memory, computed once for all output steps."""

    @abstractmethod
    def score(self, q: Tensor, keys: Tensor) -> Tensor:
        """e (T, B), from a query q (B, H) and the keys (T, B, ·)."""

    def remember(self, ms: Tensor, valid: Valid = None) -> Memory:
        """The memory to attend to.

        Args:
            ms: the encoder's outputs (T, B, E).
            valid: (T, B), which of them count; None for all.

        Raises ArgumentError where an example has nothing to attend to.
        """
        if not len(ms) or (valid is not None and not valid.any(axis=0).all()):
            raise ArgumentError("attention: every example needs at least one input step to attend to")
        return Memory(ms, self.keys(ms), valid)

    def forward(self, q: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """The context (B, E) for a query (B, H), and the weights α (T, B); steps that do not count have weight 0."""
        e = self.score(q, memory.keys)
        if memory.valid is not None:
            e = where(memory.valid, e, NEVER)
        α = softmax(e, axis=0).named("α")
        return (α[..., None] * memory.ms).sum(axis=0).named("context"), α


class DotAttention(Attention):
    """e_k = q · m_k (Luong, Pham and Manning 2015). No parameters; the decoder's state is as long as the memory's rows.

    >>> attend = DotAttention(query_size=2, memory_size=2)
    >>> memory = attend.remember(Tensor([[[9.0, 0.0]], [[0.0, 9.0]]]))
    >>> context, α = attend(Tensor([[0.0, 9.0]]), memory)
    >>> α.numpy().round(3).ravel(), context.numpy().round(3)
    (array([0., 1.]), array([[0., 9.]]))
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        if query_size != memory_size:
            raise ShapeError(f"dot attention: query and memory must be equally long, got {query_size} and {memory_size}")

    @override
    def keys(self, ms: Tensor) -> Tensor:
        return ms

    @override
    def score(self, q: Tensor, keys: Tensor) -> Tensor:
        return (q * keys).sum(axis=-1)


class AdditiveAttention(Attention):
    """e_k = v · tanh(W_q q + W_m m_k) (Bahdanau, Cho and Bengio 2015).

    Parameters: W_q (A, H), W_m (A, E), v (A,).

    Args:
        query_size: H.
        memory_size: E.
        size: A.
        dtype: of the parameters.
        seed: integer or ``numpy.random.Generator`` for the initial values; None: new each time.
    """

    def __init__(
        self, query_size: int, memory_size: int, size: int, *, dtype: npt.DTypeLike = np.float64, seed: Seed = None
    ) -> None:
        size = positive_size("additive attention", "size", size)
        make = Initialiser("uniform", size, dtype, seed)
        self.W_q = make.input("W_q", size, query_size)
        self.W_m = make.input("W_m", size, memory_size)
        self.v = make.bias("v", size)

    @override
    def keys(self, ms: Tensor) -> Tensor:
        return affine(ms, self.W_m, None)

    @override
    def score(self, q: Tensor, keys: Tensor) -> Tensor:
        return tanh(affine(q, self.W_q, None) + keys) @ self.v


ATTENTIONS = ("dot", "additive")
"""The scores by name."""


def make_attention(name: str, query_size: int, memory_size: int, dtype: npt.DTypeLike, seed: Seed) -> Attention:
    """The attention of that name; the additive one is as wide as the query. ArgumentError for another name."""
    if one_of("attention", name, ATTENTIONS) == "dot":
        return DotAttention(query_size, memory_size)
    return AdditiveAttention(query_size, memory_size, query_size, dtype=dtype, seed=seed)
