"""What the hand-derived passes share: their result, σ, and the check that shapes fit.

Plain NumPy. Nothing here knows a cell.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from minigrad.errors import MinigradError, ShapeError
from minigrad.guard import array_of

Array: TypeAlias = npt.NDArray[Any]
State = TypeVar("State")


class InputError(MinigradError, ValueError):
    """What was handed in does not fit: says where, what was expected and what came."""


class Gradients(NamedTuple, Generic[State]):
    """The gradient of the loss with respect to everything the forward pass was given.

    params  dict, the same names and shapes as the parameters
    xs      (T, B, D), row t−1 is ∂L/∂x_t
    state   ∂L/∂(initial state), (B, H); a pair (c, h) of them for the LSTM
    """

    params: dict[str, Array]
    xs: Array
    state: State


def sigmoid(a: Array) -> Array:
    """σ(a) = 1 / (1 + e^−a), any shape, written as ½ tanh(½a) + ½ so that it never overflows.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    return np.asarray(0.5 * np.tanh(0.5 * a) + 0.5)


def as_float(where: str, name: str, value: npt.ArrayLike) -> Array:
    """`value` as an array of floats (integers become float64; complex stays, for complex-step differentiation).

    Raises InputError when it holds anything but numbers.
    """
    try:
        array = array_of(value, f"{where}: {name}")
    except MinigradError as error:
        kind = f"a ragged {type(value).__name__}" if isinstance(error, ShapeError) else str(error).split("got ")[-1]
        raise InputError(f"{where}: {name} must be an array of floats, got {kind}") from None
    if array.dtype.kind in "fc":
        return array
    if array.dtype.kind in "iub":
        return array.astype(np.float64)
    raise InputError(f"{where}: {name} must be an array of floats, got dtype {array.dtype}")


class Sizes:
    """Checks shapes written in letters: "TBD" is (T, B, D).

    The first array that shows a letter decides its size; every later one must agree.

    >>> sizes = Sizes("rnn.forward")
    >>> W_hx = sizes.check("W_hx", np.ones((4, 3)), "HD")
    >>> xs = sizes.check("xs", np.ones((7, 2, 5)), "TBD")
    Traceback (most recent call last):
    minigrad.models.by_hand.common.InputError: rnn.forward: xs must be (T, B, D) with D = 3 (from W_hx), got shape (7, 2, 5)
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self._size: dict[str, int] = {}
        self._decided_by: dict[str, str] = {}

    def __getitem__(self, letter: str) -> int:
        """The size that `letter` stands for."""
        return self._size[letter]

    def check(self, name: str, value: npt.ArrayLike, letters: str) -> Array:
        """`value` as an array of floats whose shape fits `letters`; InputError otherwise."""
        array = as_float(self.where, name, value)
        size = dict(self._size)
        letter_sizes = zip(letters, array.shape, strict=False)
        if array.ndim != len(letters) or any(size.setdefault(x, n) != n for x, n in letter_sizes):
            bound = [x for x in dict.fromkeys(letters) if x in self._size]
            known = [f"{x} = {self._size[x]} (from {self._decided_by[x]})" for x in bound]
            raise InputError(
                f"{self.where}: {name} must be ({', '.join(letters)}{',' * (len(letters) == 1)})"
                f"{' with ' * bool(known)}{', '.join(known)}, got shape {array.shape}"
            )
        self._size = size
        self._decided_by = dict.fromkeys(letters, name) | self._decided_by
        return array

    def check_params(
        self, params: Mapping[str, npt.ArrayLike], shapes: Mapping[str, str], optional: Collection[str] = ()
    ) -> dict[str, Array]:
        """All of `params`, each checked against its letters; InputError names what is missing and what is unknown."""
        if not isinstance(params, Mapping):
            raise InputError(f"{self.where}: expected the parameters by name, {', '.join(shapes)}, got {params!r:.60}")
        missing = [name for name in shapes if name not in params and name not in optional]
        unknown = [name for name in params if name not in shapes]
        if missing or unknown:
            problems = {"missing": missing, "unknown": unknown}
            said = "; ".join(f"{problem}: {', '.join(map(str, names))}" for problem, names in problems.items() if names)
            raise InputError(f"{self.where}: parameters {said}; it takes {', '.join(shapes)}")
        return {name: self.check(name, params[name], letters) for name, letters in shapes.items() if name in params}


def all_or_none(biases: Collection[str], params: Mapping[str, npt.ArrayLike]) -> Collection[str]:
    """What may be left out of `params`: all biases where none is given, otherwise nothing.

    >>> all_or_none(("b_i", "b_f"), {"W_ix": 1.0}), all_or_none(("b_i", "b_f"), {"b_f": 1.0})
    (('b_i', 'b_f'), ())
    """
    given = params if isinstance(params, Mapping) else ()
    return () if any(name in given for name in biases) else biases


def zeros_like_params(params: Mapping[str, Array]) -> dict[str, Array]:
    """One zero array per parameter: the sums Σ_t start from here.

    >>> zeros_like_params({"b_h": np.array([1.0, 2.0])})
    {'b_h': array([0., 0.])}
    """
    return {name: np.zeros_like(value) for name, value in params.items()}
