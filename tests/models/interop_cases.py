"""Layers for the tests of interop, and ways to compare them."""

from typing import Any

import numpy as np
from minigrad.models.layers import RecurrentLayers
from minigrad.models.recurrent import Cell

from minigrad import Tensor

KINDS: dict[str, dict[str, Any]] = {
    "rnn": {},
    "rnn relu": {"nonlinearity": "relu"},
    "rnn concatenated": {"form": "concatenated"},
    "gru before": {"reset": "before"},
    "gru after": {"reset": "after"},
    "lstm": {},
}


def layers(kind: str, seed: int = 0, **options: Any) -> RecurrentLayers:
    """Layers with D = 3 and H = 4, whose parameters include zeros of both signs."""
    made = RecurrentLayers(kind.split()[0], 3, 4, seed=seed, **KINDS[kind], **options)
    rng = np.random.default_rng(seed)
    for parameter in made.parameters():
        values = rng.normal(size=parameter.shape)
        values.flat[:: 5] = rng.choice([0.0, -0.0], size=values.flat[::5].shape)
        parameter.data = values
    return made


def same_bits(one: RecurrentLayers | Cell[Any], other: RecurrentLayers | Cell[Any]) -> bool:
    """Whether all parameters are equal, to the sign of a zero."""
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype and first[name].tobytes() == second[name].tobytes() for name in first
    )


def same_arrays(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    """Whether two dicts hold the same arrays, bit for bit, in the same order."""
    return list(one) == list(other) and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name]) for name in one
    )


def outputs(model: RecurrentLayers, xs: np.ndarray) -> np.ndarray:
    return model(Tensor(xs))[0].numpy()


def relative(got: np.ndarray, expected: Any) -> float:
    """The largest difference, relative to the largest number."""
    wanted = np.reshape(expected, got.shape)
    return float(np.abs(got - wanted).max(initial=0) / max(1.0, np.abs(wanted).max(initial=0)))
