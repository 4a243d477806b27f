"""A state of several parts says which is which: one in another order is refused, never read as it comes."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from minigrad.models import LSTM, RNN, LSTMState, RecurrentLayers, unroll
from minigrad.models.recurrent import Cell
from minigrad.models.states import shape_of

from minigrad import Tensor, zeros
from minigrad.errors import ArgumentError

h_0, c_0 = np.random.default_rng(0).normal(size=(2, 2, 4))
XS = np.ones((5, 2, 3))


class TorchsOrder(NamedTuple):
    """A state with the right names in the other order."""

    h: Any
    c: Any


REFUSED = [
    ((h_0, c_0), "a plain tuple"),
    ((Tensor(h_0), Tensor(c_0)), "a plain tuple"),
    (TorchsOrder(h_0, c_0), "a TorchsOrder of h, c"),
    ([h_0, c_0], "a plain list"),
]
ORDERS = r"the order is \(c, h\) here and \(h, c\) in torch and Keras\. Write LSTMState\(c=c_0, h=h_0\)"


@pytest.mark.parametrize(("state", "got"), REFUSED)
@pytest.mark.parametrize("hoist", [False, True])
def test_unroll_names_both_orders(state: Any, got: str, hoist: bool) -> None:
    with pytest.raises(ArgumentError, match=f"lstm.*: the state must be LSTMState\\(c, h\\), got {got}, .* {ORDERS}"):
        unroll(LSTM(3, 4, seed=0), XS, state, hoist)


@pytest.mark.parametrize(("state", "got"), REFUSED)
def test_a_step_and_layers_do_so_too(state: Any, got: str) -> None:
    cell = LSTM(3, 4, seed=0)
    with pytest.raises(ArgumentError, match=f"got {got}, .* {ORDERS}"):
        cell.step(Tensor(XS[0]), state)
    if isinstance(state, list):
        return  # for layers a list has a state for each of them
    stacked = type(state)(*(part[None] for part in state)) if hasattr(state, "_fields") else tuple(p[None] for p in state)
    with pytest.raises(ArgumentError, match=f"got {got}, .* {ORDERS}"):
        RecurrentLayers([cell])(XS, stacked)


def test_a_dict_is_told_how_to_become_a_state() -> None:
    with pytest.raises(ArgumentError, match=r"must be LSTMState\(c, h\), got a plain dict\. Write LSTMState\(c=c_0, h=h_0\)"):
        unroll(LSTM(3, 4, seed=0), XS, {"h": h_0, "c": c_0})


def test_with_names_the_state_is_what_it_says() -> None:
    cell = LSTM(3, 4, seed=0)
    by_name, in_order = LSTMState(h=h_0, c=c_0), LSTMState(c_0, h_0)
    np.testing.assert_array_equal(unroll(cell, XS, by_name)[0].numpy(), unroll(cell, XS, in_order)[0].numpy())


class TwoWithoutNames(Cell[Any]):
    """A cell of one's own whose state is a plain tuple: then that is its order."""

    label = "two"
    state_names = ("a", "b")

    def __init__(self) -> None:
        super().__init__(3, 3)

    def initial_state(self, batch: int) -> Any:
        return zeros(batch, 3), zeros(batch, 3)

    def project(self, x: Tensor) -> Tensor:
        return x * 1.0

    def recur(self, wx: Tensor, state: Any) -> Any:
        a, b = state
        return a + wx, a - b


def test_a_cell_whose_own_state_is_a_plain_tuple_takes_one() -> None:
    a, b = np.ones((2, 3)), np.zeros((2, 3))
    hs, final = unroll(TwoWithoutNames(), XS[..., :3], (a, b))
    assert hs.shape == (5, 2, 3)
    np.testing.assert_array_equal(final[0].numpy(), np.full((2, 3), 6.0))


def test_nested_lists_have_the_shape_that_arrays_of_them_have() -> None:
    cell, xs = RNN(3, 4, seed=0), np.ones((5, 2, 3))
    np.testing.assert_array_equal(unroll(cell, xs.tolist())[0].numpy(), unroll(cell, xs)[0].numpy())
    assert shape_of(xs.tolist()) == shape_of(xs) == shape_of(Tensor(xs)) == (5, 2, 3)
