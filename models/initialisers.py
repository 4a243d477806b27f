"""Initial values of parameters, by name, all drawn from one seed.

| name | recurrent matrices W_·h | input matrices W_·x | biases | source |
| --- | --- | --- | --- | --- |
| ``"uniform"`` | U(−1/√H, 1/√H) | the same | the same | torch's recurrent layers |
| ``"xavier_uniform"`` | U(−b, b), b = √(6 / (rows + columns)) | the same | 0 | Glorot and Bengio 2010 |
| ``"xavier_normal"`` | N(0, 2 / (rows + columns)) | the same | 0 | Glorot and Bengio 2010 |
| ``"orthogonal"`` | a random orthogonal matrix | xavier_uniform | 0 | Saxe et al. 2013; Keras' choice |
| ``"identity"`` | the identity | N(0, 0.001²) | 0 | the relu RNN of Le, Jaitly and Hinton 2015 (IRNN) |

A parameter that stacks the matrices of several gates is drawn gate by gate: rows and columns are those of one gate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from minigrad.arguments import fitting_memory
from minigrad.errors import DTypeError
from minigrad.module import Parameter

from .checks import Seed, generator, one_of

__all__ = ["INITIALISERS", "Initialiser"]

Array: TypeAlias = npt.NDArray[Any]
Rule: TypeAlias = Callable[[np.random.Generator, tuple[int, ...], int], Array]


def one_over_root_h(rng: np.random.Generator, shape: tuple[int, ...], hidden_size: int) -> Array:
    """Uniform in (−1/√H, 1/√H)."""
    bound = 1 / np.sqrt(hidden_size)
    return rng.uniform(-bound, bound, shape)


def xavier_uniform(rng: np.random.Generator, shape: tuple[int, ...], hidden_size: int) -> Array:
    """Uniform with variance 2 / (rows + columns)."""
    bound = np.sqrt(6 / sum(shape))
    return rng.uniform(-bound, bound, shape)


def xavier_normal(rng: np.random.Generator, shape: tuple[int, ...], hidden_size: int) -> Array:
    """Normal with variance 2 / (rows + columns)."""
    return np.asarray(np.sqrt(2 / sum(shape)) * rng.standard_normal(shape))


def orthogonal(rng: np.random.Generator, shape: tuple[int, ...], hidden_size: int) -> Array:
    """A square matrix Q with QᵀQ = 1, all of them equally likely (Q of a QR decomposition, R with a positive diagonal)."""
    q, r = np.linalg.qr(rng.standard_normal(shape))
    return np.asarray(q * np.sign(np.diag(r)))


def identity(rng: np.random.Generator, shape: tuple[int, ...], hidden_size: int) -> Array:
    """The identity matrix."""
    return np.eye(shape[0])


def nearly_zero(rng: np.random.Generator, shape: tuple[int, ...], hidden_size: int) -> Array:
    """Normal with standard deviation 0.001."""
    return 0.001 * rng.standard_normal(shape)


def zero(rng: np.random.Generator, shape: tuple[int, ...], hidden_size: int) -> Array:
    """Zeros."""
    return np.zeros(shape)


class Rules(NamedTuple):
    """How each kind of parameter is drawn."""

    recurrent: Rule
    input: Rule
    bias: Rule


INITIALISERS: dict[str, Rules] = {
    "uniform": Rules(one_over_root_h, one_over_root_h, one_over_root_h),
    "xavier_uniform": Rules(xavier_uniform, xavier_uniform, zero),
    "xavier_normal": Rules(xavier_normal, xavier_normal, zero),
    "orthogonal": Rules(orthogonal, xavier_uniform, zero),
    "identity": Rules(identity, nearly_zero, zero),
}
"""The rules by name."""


class Initialiser:
    """Makes parameters one after the other, each with initial values by its kind, from one stream of random numbers.

    Args:
        init: one of the names above.
        hidden_size: H.
        dtype: of the parameters.
        seed: integer or ``numpy.random.Generator``; None: new each time.

    Raises:
        ArgumentError: another ``init`` (the message lists the right ones), or another kind of seed. Of its methods: so many
            numbers do not fit into memory.
        DTypeError: ``dtype`` is not floating-point.

    >>> make = Initialiser("orthogonal", hidden_size=3, seed=0)
    >>> W_h = make.recurrent("W_h", 3, 3, gates=4)
    >>> W_fh = W_h.numpy()[3:6]
    >>> W_h.shape, bool(np.allclose(W_fh.T @ W_fh, np.eye(3)))
    ((12, 3), True)
    """

    def __init__(self, init: str, hidden_size: int, dtype: npt.DTypeLike = np.float64, seed: Seed = None) -> None:
        try:
            known: np.dtype[Any] | None = np.dtype(dtype)
        except (TypeError, ValueError):  # ValueError: a name that is no text
            known = None
        if known is None or known.kind != "f":
            raise DTypeError(f"dtype: parameters are floating-point numbers, got {known or repr(dtype)}")
        self._rules = INITIALISERS[one_of("init", init, INITIALISERS)]
        self._hidden_size = hidden_size
        self._dtype = dtype
        self._rng = generator(seed)

    def recurrent(self, name: str, *shape: int, gates: int = 1) -> Parameter:
        """What acts on the state: a matrix of that shape for each gate, one above the other."""
        return self._drawn(self._rules.recurrent, name, shape, gates)

    def input(self, name: str, *shape: int, gates: int = 1) -> Parameter:
        """What acts on the input, in the same way."""
        return self._drawn(self._rules.input, name, shape, gates)

    def bias(self, name: str, *shape: int, gates: int = 1) -> Parameter:
        """What is added, in the same way."""
        return self._drawn(self._rules.bias, name, shape, gates)

    def _drawn(self, rule: Rule, name: str, shape: tuple[int, ...], gates: int) -> Parameter:
        with fitting_memory(f"{name}: {gates} × {shape} numbers"):
            values = [rule(self._rng, shape, self._hidden_size) for _ in range(gates)]
            return Parameter(np.concatenate(values).astype(self._dtype), name=name)
