"""Random cases for the hand-derived passes, and two independent ways to differentiate their forward pass.

Every case is a random linear function of all outputs, L = Σ d_hs ⊙ hs + Σ d_state ⊙ state, so its gradient is
exactly what `backward` returns for these upstream gradients.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from minigrad.models.by_hand import gated_rnn, gru, lstm, rnn

Leaves = dict[str, np.ndarray]


@dataclass(frozen=True)
class Variant:
    """A cell with its switches."""

    name: str
    module: ModuleType
    shapes: dict[str, str]
    options: dict[str, Any]




def without_biases(shapes: dict[str, str]) -> dict[str, str]:
    return {name: letters for name, letters in shapes.items() if name[0] != "b"}


NO_BIAS = without_biases(rnn.SHAPES)
VARIANTS = [
    Variant("rnn", rnn, rnn.SHAPES, {}),
    Variant("rnn-nobias", rnn, NO_BIAS, {}),
    Variant("rnn-relu", rnn, rnn.SHAPES, {"activation": "relu"}),
    Variant("rnn-relu-nobias", rnn, NO_BIAS, {"activation": "relu"}),
    Variant("gated_rnn", gated_rnn, without_biases(gated_rnn.SHAPES), {}),
    Variant("gated_rnn-bias", gated_rnn, gated_rnn.SHAPES, {}),
    Variant("gru-before", gru, gru.SHAPES, {"reset": "before"}),
    Variant("gru-after", gru, gru.SHAPES_AFTER, {"reset": "after"}),
    Variant("gru-before-nobias", gru, without_biases(gru.SHAPES), {"reset": "before"}),
    Variant("gru-after-nobias", gru, without_biases(gru.SHAPES_AFTER), {"reset": "after"}),
    Variant("lstm", lstm, lstm.SHAPES, {"output_tanh": True}),
    Variant("lstm-nobias", lstm, without_biases(lstm.SHAPES), {"output_tanh": True}),
    Variant("lstm-no-output-tanh", lstm, lstm.SHAPES, {"output_tanh": False}),
]
BY_NAME = {variant.name: variant for variant in VARIANTS}
LENGTHS, BATCHES, WIDTHS = (1, 2, 30), (1, 3), ((3, 3), (2, 3))
SIZES = [(T, B, D, H) for T in LENGTHS for B in BATCHES for D, H in WIDTHS]
LOSSES = ["every step", "last step"]


def every_size(test: Callable[..., None]) -> Any:
    """The test at SIZES, of which T, B and the widths are parameters of their own: of a sample, any two meet in a case."""
    for names, values in (("T", LENGTHS), ("B", BATCHES), (("D", "H"), WIDTHS)):
        test = pytest.mark.parametrize(names, values)(test)
    return test


@dataclass(frozen=True)
class Case:
    """Random parameters, inputs, initial state and upstream gradients of one variant at one size."""

    variant: Variant
    params: Leaves
    xs: np.ndarray
    state: Any
    d_hs: np.ndarray
    d_state: Any

    def leaves(self) -> Leaves:
        """Everything the loss depends on, by name."""
        return self.params | {"xs": self.xs} | state_leaves(self.state)

    def loss(self, leaves: Leaves, module: ModuleType | None = None) -> Any:
        """L as a function of its leaves; complex when a leaf is."""
        params = {name: leaves[name] for name in self.params}
        state = (leaves["c_0"], leaves["h_0"]) if isinstance(self.state, tuple) else leaves["h_0"]
        trace = (module or self.variant.module).forward(params, leaves["xs"], state, **self.variant.options)
        sent_to_state = zip(as_tuple(self.d_state), as_tuple(trace.state), strict=True)
        return (self.d_hs * trace.hs).sum() + sum((d * s).sum() for d, s in sent_to_state)

    def by_hand(self, module: ModuleType | None = None) -> Leaves:
        """The hand-derived gradient of L, by leaf name."""
        module = module or self.variant.module
        trace = module.forward(self.params, self.xs, self.state, **self.variant.options)
        gradients = module.backward(self.params, trace, self.d_hs, self.d_state)
        return gradients.params | {"xs": gradients.xs} | state_leaves(gradients.state)


def as_tuple(state: Any) -> tuple[np.ndarray, ...]:
    return state if isinstance(state, tuple) else (state,)


def state_leaves(state: Any) -> Leaves:
    return {"c_0": state[0], "h_0": state[1]} if isinstance(state, tuple) else {"h_0": state}


def make_case(variant: Variant, T: int, B: int, D: int, H: int, losses: str, seed: int = 0) -> Case:
    rng = np.random.default_rng([seed, T, B, D, H, *variant.name.encode()])
    size = {"D": D, "H": H}
    params = {
        name: rng.normal(size=[size[letter] for letter in letters]) / np.sqrt(size[letters[-1]])
        for name, letters in variant.shapes.items()
    }

    def random_state() -> Any:
        if variant.module is lstm:
            return rng.normal(size=(B, H)), rng.normal(size=(B, H))
        return rng.normal(size=(B, H))

    xs, state, d_state = rng.normal(size=(T, B, D)), random_state(), random_state()
    d_hs = rng.normal(size=(T, B, H))
    if losses == "last step":
        d_hs[:-1] = 0.0
        d_state = tuple(np.zeros_like(d) for d in d_state) if isinstance(d_state, tuple) else np.zeros_like(d_state)
    return Case(variant, params, xs, state, d_hs, d_state)


def complex_step(loss: Callable[[Leaves], Any], leaves: Leaves) -> Leaves:
    """∂L/∂leaf by Im L(x + 1e-30 j) / 1e-30 at every entry: exact to rounding, no cancellation."""

    def derivative(name: str, index: tuple[int, ...]) -> float:
        moved = leaves[name].astype(complex)
        moved[index] += 1e-30j
        return float(loss(leaves | {name: moved}).imag / 1e-30)

    return _everywhere(derivative, leaves)


def central_differences(loss: Callable[[Leaves], Any], leaves: Leaves, step: float = 1e-3) -> Leaves:
    """∂L/∂leaf at every entry by the five-point central difference, error of order step⁴."""

    def derivative(name: str, index: tuple[int, ...]) -> float:
        def at(offset: float) -> float:
            moved = leaves[name].copy()
            moved[index] += offset
            return float(loss(leaves | {name: moved}))

        near, far = at(step) - at(-step), at(2 * step) - at(-2 * step)
        return (8 * near - far) / (12 * step)

    return _everywhere(derivative, leaves)


def _everywhere(derivative: Callable[[str, tuple[int, ...]], float], leaves: Leaves) -> Leaves:
    return {
        name: np.reshape([derivative(name, index) for index in np.ndindex(leaf.shape)], leaf.shape)
        for name, leaf in leaves.items()
    }


def relative_difference(got: np.ndarray, expected: np.ndarray) -> float:
    """max |got − expected| / max |expected|, for one leaf."""
    assert got.shape == expected.shape
    return float(np.abs(got - expected).max() / max(np.abs(expected).max(), np.finfo(float).tiny))


def worst(got: Leaves, expected: Leaves) -> tuple[float, str]:
    """The largest relative difference over all leaves, and the leaf that has it."""
    assert got.keys() == expected.keys()
    return max((relative_difference(got[name], expected[name]), name) for name in expected)
