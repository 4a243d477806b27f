"""Cells of one's own that are wrong, and what their parameters belong to; and sequences without a step."""

from typing import Any

import numpy as np
import pytest
from cell_cases import CLASSES
from minigrad.models.cells import LSTM
from minigrad.models.layers import RecurrentLayers, unroll
from own_cells import Leaky, WithMemory

from minigrad import Parameter, Tensor
from minigrad.errors import ArgumentError, ShapeError
from minigrad.module import Module


class OnlyStep:
    def step(self, x: Tensor, state: Tensor) -> Tensor:
        return state


class Growing(Leaky):
    """Its state is one wider after step 2, that is at t = 2."""

    def step(self, x: Tensor, state: Tensor) -> Any:
        return super().step(x, state) if x.numpy()[0, 0] < 2 else Tensor(np.zeros((len(x), 4)))


class Forgetful(Leaky):
    def step(self, x: Tensor, state: Tensor) -> Any:
        super().step(x, state)


class Forgetting(WithMemory):
    def step(self, x: Tensor, state: Any) -> Any:
        return super().step(x, state)[1]


class Weighted(Leaky):
    """Its weight is a Parameter, though the cell is no Module; a part of it is a Module."""

    def __init__(self) -> None:
        super().__init__(3, 3)
        self.W = Parameter(self.W.numpy(), name="W")
        self.inner = [LSTM(2, 3, seed=0)]


@pytest.mark.parametrize(
    ("cell", "lack"),
    [(OnlyStep(), "has no initial_state"), (np.tanh, "has neither"), (LSTM, "is a class, not a cell"), (None, "has neither")],
)
def test_what_is_no_cell_is_told_what_a_cell_needs(cell: Any, lack: str) -> None:
    needs = r"a cell needs step\(x, state\) and initial_state\(batch\); .* " + lack
    with pytest.raises(ArgumentError, match="unroll: " + needs):
        unroll(cell, np.ones((5, 2, 3)))
    with pytest.raises(ArgumentError, match="layers: .*" + needs):
        RecurrentLayers([cell])


@pytest.mark.parametrize("options", [{}, {"lengths": [5, 4]}])
@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (Growing(), r"Growing at time step 2: .*of shape \(2, 3\); got \(2, 4\)"),
        (Forgetful(), r"Forgetful at time step 1: .*of shape \(2, 3\); got None"),
        (Forgetting(), r"Forgetting at time step 1: .*of shape \(2, 3\) and \(2, 3\); got \(2, 3\)$"),
    ],
)
def test_a_step_that_changes_the_shape_of_the_state_is_named_with_its_time(cell: Any, message: str, options: Any) -> None:
    xs = np.arange(1.0, 6.0)[:, None, None] * np.ones((5, 2, 2))
    with pytest.raises(ShapeError, match=message):
        unroll(cell, xs, **options)


def test_parameters_of_a_cell_that_is_no_module_belong_to_its_layers() -> None:
    cell = Weighted()
    layers = RecurrentLayers([cell, LSTM(3, 3, seed=0, bias=False)])
    names = [name for name, _ in layers.named_parameters()]
    inner, second = ["W_x", "W_h", "b"], ["W_x", "W_h"]
    expected = ["cells.0.0.W", *(f"cells.0.0.inner.0.{n}" for n in inner), *(f"cells.1.0.{n}" for n in second)]
    assert sorted(names) == sorted(expected)
    assert any(parameter is cell.W for parameter in layers.parameters())
    layers.load_state_dict({name: values + 1 for name, values in layers.state_dict().items()})
    assert cell.W.numpy()[0, 0] == 1.1
    assert cell.inner[0] in list(layers.eval().modules())
    assert not cell.inner[0].training


@pytest.mark.parametrize("hoist", [False, True])
@pytest.mark.parametrize("name", CLASSES)
def test_over_no_steps_every_gradient_is_zero(name: str, hoist: bool) -> None:
    cell = CLASSES[name](3, 4)
    xs = Tensor(np.ones((0, 2, 3)), requires_grad=True)
    hs, _ = unroll(cell, xs, hoist=hoist)
    assert hs.shape == (0, 2, 4)
    hs.sum().backward()
    every_gradient_is_zero(cell)
    assert xs.grad is not None
    assert xs.grad.shape == (0, 2, 3)


def test_over_no_steps_layers_and_their_initial_state_have_gradients_of_zero() -> None:
    layers = RecurrentLayers("gru", 3, 4, num_layers=2, bidirectional=True, learn_initial_state=True, seed=0)
    layers(np.ones((0, 2, 3)))[0].sum().backward()
    every_gradient_is_zero(layers)


def test_over_no_steps_a_cell_of_ones_own_has_gradients_of_zero() -> None:
    cell, start = Leaky(), Tensor(np.ones((2, 3)), requires_grad=True)
    hs, final = unroll(cell, np.ones((0, 2, 2)), start)
    assert final is start
    hs.sum().backward()
    for leaf in (cell.W, start):
        np.testing.assert_array_equal(leaf.grad, np.zeros(leaf.shape), strict=True)


def every_gradient_is_zero(module: Module) -> None:
    for parameter in module.parameters():
        np.testing.assert_array_equal(parameter.grad, np.zeros(parameter.shape), strict=True)
