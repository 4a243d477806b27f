"""Parameters that are frozen stay parameters: they are saved, copied and handed to optimisers, and nothing changes them."""

import copy
from typing import Any

import numpy as np
import pytest
from minigrad.models import RNN, Head, ManyToOne, fit, unroll

from minigrad import Module, Parameter, Tensor, mse_loss
from minigrad.errors import ArgumentError
from minigrad.optim import SGD, Adam, AdamW, RMSprop

RNG = np.random.default_rng(3)
XS, YS = RNG.normal(size=(5, 8, 3)), RNG.normal(size=(8, 1))


class Plain(Module):
    """A model whose weight is a plain tensor that needs a gradient."""

    def __init__(self) -> None:
        self.W, self.scale = Tensor([[2.0], [1.0]], requires_grad=True), Tensor([3.0])

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.W * self.scale


@pytest.mark.parametrize("make", [lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1), Adam, AdamW, RMSprop])
def test_an_optimiser_takes_frozen_parameters_and_leaves_them_as_they_are(make: Any) -> None:
    cell = RNN(3, 4, seed=0)
    cell.W_hx.requires_grad = False
    before, optimizer = cell.state_dict(), make(cell.parameters())
    for _ in range(3):
        optimizer.zero_grad()
        unroll(cell, XS)[0].sum().backward()
        optimizer.step()
    changed = {name: not np.array_equal(value, before[name]) for name, value in cell.state_dict().items()}
    assert changed == {"W_hx": False, "W_hh": True, "b_h": True}
    cell.W_hx.requires_grad = True
    unroll(cell, XS)[0].sum().backward()
    optimizer.step()
    assert not np.array_equal(cell.W_hx.numpy(), before["W_hx"])


def test_a_gradient_from_before_the_freezing_changes_nothing() -> None:
    W, b = Parameter([1.0]), Parameter([1.0])
    (W * b).sum().backward()
    W.requires_grad = False
    SGD([W, b], lr=0.5).step()
    assert (W.item(), b.item()) == (1.0, 0.5)


def test_fit_trains_the_rest_of_a_model_and_refuses_one_that_is_frozen_altogether() -> None:
    model = ManyToOne("lstm", 3, 4, 1, loss=mse_loss, seed=0)
    for parameter in model.layers.parameters():
        parameter.requires_grad = False
    before = model.state_dict()
    fit(model, (XS, YS), epochs=2)
    changed = [name for name, value in model.state_dict().items() if not np.array_equal(value, before[name])]
    assert changed == ["head.W_yh", "head.b_y"]
    for parameter in model.parameters():
        parameter.requires_grad = False
    with pytest.raises(ArgumentError, match="none of the model's parameters is in the optimiser and needs a gradient"):
        fit(model, (XS, YS), epochs=1)


def test_a_plain_tensor_that_is_frozen_is_saved_and_loaded_all_the_same() -> None:
    model = Plain()
    model.W.requires_grad = False
    assert list(model.state_dict()) == ["W"]
    model.load_state_dict({"W": [[5.0], [6.0]]})
    assert model.W.numpy().tolist() == [[5.0], [6.0]]
    twin = copy.deepcopy(model)
    assert list(twin.state_dict()) == ["W"]
    assert not twin.W.requires_grad
    assert twin.W.is_frozen
    model.W.requires_grad = True
    assert [parameter.requires_grad for parameter in model.parameters()] == [True]


def test_what_was_never_meant_to_be_trained_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"parameter 0 is not a leaf tensor with requires_grad=True"):
        SGD([Tensor([1.0])], lr=0.1)
    with pytest.raises(ArgumentError, match=r"parameter 1 is not a leaf tensor with requires_grad=True"):
        SGD([Parameter([1.0]), Parameter([1.0]) * 2.0], lr=0.1)


def test_a_step_whose_gradients_were_forgotten_before_it_says_so() -> None:
    head = Head(3, 1, seed=0)
    optimizer = SGD(head.parameters(), lr=0.1)
    optimizer.zero_grad()
    optimizer.step()  # nothing was lost: as one steps a schedule to look at it
    head(XS[0]).sum().backward()
    optimizer.zero_grad()
    with pytest.warns(UserWarning, match=r"SGD\.step: no parameter has a gradient since zero_grad\(\), and none was changed"):
        optimizer.step()
    head(XS[0]).sum().backward()
    optimizer.step()
