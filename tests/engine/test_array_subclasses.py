"""Arrays that mean more than their numbers are refused by name, wherever arrays enter; those that do not are taken."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minigrad.models import LSTM, Head, interop, unroll

import minigrad as mg
from minigrad import Parameter, Tensor
from minigrad.errors import ConversionError, DTypeError, MinigradError

MASKED = np.ma.masked_equal([[1.0, -999.0], [1.0, 1.0]], -999.0)
MATRIX = np.array([[1.0, 2.0], [3.0, 4.0]]).view(np.matrix)


class Metres(np.ndarray):
    """An array with a meaning of its own."""


KINDS = {
    "masked": (MASKED, r"numpy\.ma\.MaskedArray, whose mask would be lost; pass \.filled\(…\).*mask="),
    "matrix": (MATRIX, r"numpy\.matrix, for which \* means the matrix product; pass np\.asarray\(m\) and write @"),
    "another": (np.ones((2, 2)).view(Metres), r"Metres, a subclass of ndarray whose own meaning would be lost; pass"),
}


def leaf() -> Tensor:
    return Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)


def set_data(array: Any) -> None:
    leaf().data = array


def set_grad(array: Any) -> None:
    leaf().grad = array


def hooked(array: Any) -> None:
    x = leaf()
    y = x * 2.0
    y.register_hook(lambda g: array)
    y.sum().backward()


def hooked_in_a_recorded_pass(array: Any) -> None:
    x = leaf()
    y = x * 2.0
    y.register_hook(lambda g: array)
    mg.grad(y.sum(), x, create_graph=True)


def loaded(array: Any) -> None:
    module = mg.Module()
    module.W = Parameter(np.zeros((2, 2)))
    module.load_state_dict({"W": array})


ENTRANCES: dict[str, Callable[[Any], Any]] = {
    "Tensor": Tensor,
    "a list of them": lambda a: Tensor([a, a]),
    "Parameter": Parameter,
    "data": set_data,
    "grad": set_grad,
    "+": lambda a: leaf() + a,
    "−": lambda a: leaf() - a,
    "− without a gradient": lambda a: leaf().detach() - a,
    "@": lambda a: leaf() @ a,
    "<": lambda a: leaf() < a,
    "np.subtract": lambda a: np.subtract(a, leaf()),
    "np.where": lambda a: np.where(leaf() > 0, leaf(), a),
    "stack": lambda a: mg.stack([leaf(), a]),
    "tanh": mg.tanh,
    "an index": lambda a: leaf()[a],
    "mse": lambda a: mg.mse(leaf(), a),
    "binary cross-entropy": lambda a: mg.binary_cross_entropy_with_logits(leaf(), a),
    "labels": lambda a: mg.cross_entropy(mg.stack([leaf()] * 2), a),
    "a mask": lambda a: mg.cross_entropy(leaf(), [0, 1], mask=a[0]),
    "an upstream gradient": lambda a: (leaf() * 1.0).backward(a),
    "vjp": lambda a: mg.vjp(lambda x: x * x, a),
    "hook": hooked,
    "hook in a recorded pass": hooked_in_a_recorded_pass,
    "compare_gradients": lambda a: mg.compare_gradients({"W": a}, {"W": np.zeros((2, 2))}),
    "load_state_dict": loaded,
    "scan": lambda a: mg.scan(lambda h, x: (h + x, h), np.zeros(2), a),
    "unroll": lambda a: unroll(LSTM(2, 2, seed=0), [a]),
    "load_by_gate": lambda a: (cell := LSTM(2, 2, seed=0)).load_by_gate({**cell.by_gate(), "W_ix": a}),
    "Head.loss": lambda a: Head(2, 2, seed=0).loss(leaf(), a[0]),
    "from_torch": lambda a: interop.from_torch({"weight_ih_l0": a, "weight_hh_l0": np.zeros((2, 2))}),
    "Function": lambda a: mg.Function(lambda x: (x, None), lambda g, _: g)(a),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("entrance", ENTRANCES)
def test_it_is_refused_by_name_wherever_arrays_enter(entrance: str, kind: str) -> None:
    array, words = KINDS[kind]
    with pytest.raises(MinigradError, match=words):
        ENTRANCES[entrance](array)


@pytest.mark.parametrize("operator", [np.ma.subtract, lambda a, y: a - y, lambda a, y: a * y, lambda a, y: a < y])
def test_where_numpy_asks_first_the_gradient_is_not_lost_either(operator: Any) -> None:
    with pytest.raises(ConversionError, match="needs a gradient, which would be lost"):
        operator(MASKED, leaf())


def test_a_matrix_that_stands_first_is_refused_too() -> None:
    for product in (lambda: MATRIX * leaf(), lambda: MATRIX @ leaf(), lambda: MATRIX - leaf()):
        with pytest.raises(DTypeError, match=r"numpy\.matrix"):
            product()


def test_arrays_of_files_and_views_of_tensors_mean_nothing_else(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "numbers", np.float64, "w+", shape=(2, 2))
    mapped[:] = 3.0
    np.testing.assert_array_equal(Tensor(mapped).numpy(), np.full((2, 2), 3.0))
    np.testing.assert_array_equal((leaf() * mapped).numpy(), 3 * leaf().numpy())
    np.testing.assert_array_equal((leaf() * leaf().data).numpy(), leaf().numpy() ** 2)
    np.testing.assert_array_equal(Tensor([leaf().data, mapped]).numpy(), [leaf().numpy(), mapped])

