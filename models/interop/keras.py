"""The weights of Keras' SimpleRNN, GRU and LSTM layers.

| Keras | shape | here |
| --- | --- | --- |
| kernel | (D, gates · H) | the W_·x, transposed: Keras multiplies rows from the left |
| recurrent_kernel | (H, gates · H) | the W_·h, transposed |
| bias | (gates · H,) | b_· |
| bias of a GRU with reset_after=True | (2, gates · H) | their sum is b_u and b_r; in the candidate they are b_c and b_ch |

Gates: LSTM i f c o, GRU z r h with z = 1 − u. ``reset_after=True`` is Keras' default and reset="after" here. A Keras layer
is one layer in one direction; ``Bidirectional`` has the weights of the forward layer, then those of the backward one. So
weights are a list with one dict for each layer and direction, in the order of the states here; what ``get_weights()``
returns, one long list of arrays, is read too. Activations are not among the weights: tanh, and sigmoid for the gates.

>>> layers = RecurrentLayers("lstm", 3, 4, num_layers=2, seed=0)
>>> weights = to_keras(layers)
>>> {name: array.shape for name, array in weights[0].items()}
{'kernel': (3, 16), 'recurrent_kernel': (4, 16), 'bias': (16,)}
>>> same = from_keras(weights)
>>> all(np.array_equal(layers.state_dict()[name], value) for name, value in same.state_dict().items())
True

With Keras: ``layer.set_weights(list(to_keras(layers)[0].values()))``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from minigrad.flags import switch

from ..cells import GRU, make_cell
from ..layers import RecurrentLayers
from ..recurrent import Cell
from .weights import (
    Array,
    Layers,
    Packed,
    WeightsError,
    arrays_of,
    cells_of,
    check_fit,
    kind_of,
    new_layers,
    numbered,
    options_of,
    pack,
    refuse,
    regrouped,
    sizes_of,
    unpack,
)

__all__ = ["from_keras", "load_keras", "to_keras"]

GATES = {"rnn": "h", "gru": "urc", "lstm": "ifgo"}
_NAMES = ("kernel", "recurrent_kernel", "bias")

Weights: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]] | Sequence[Any]
"""A dict for each layer and direction, or all arrays in one list."""


def to_keras(layers: Layers, *, grad: bool = False) -> list[dict[str, Array]]:
    """The weights under Keras' names, new arrays: one dict for each layer and direction.

    Args:
        layers: of RNN, GRU or LSTM cells; or one such cell.
        grad: the gradients instead.

    Raises:
        WeightsError: Keras has no such layers; all reasons are listed.
        GraphError: gradients are asked for and there are none.
    """
    return [_to_keras(cell, grad) for layer in cells_of("Keras", layers) for cell in layer]


def load_keras(layers: Layers, weights: Weights) -> None:
    """Put Keras' weights into existing layers.

    Args:
        layers: as in `to_keras`.
        weights: one dict for each layer and direction, or what ``get_weights()`` returns.

    Raises:
        WeightsError: names, shapes or the number of layers do not fit, or numbers would be rounded; all problems are
            listed and nothing is changed.
    """
    cells = [cell for layer in cells_of("Keras", layers) for cell in layer]
    wanted = [_to_keras(cell) for cell in cells]
    found = _dicts(weights, len(wanted[0]))
    hints = [f"{len(found)} layers and directions were given, {len(cells)} are there"] * (len(found) != len(cells))
    for number, (one, own) in enumerate(zip(found, wanted, strict=False)):
        if "bias" in one and "bias" in own and one["bias"].ndim != own["bias"].ndim:
            hints.append(f"{number}.bias is that of a GRU with reset_after={one['bias'].ndim == 2}")
    check_fit("Keras", numbered(found), numbered(wanted), hints)
    for cell, one in zip(cells, found, strict=True):
        cell.load_by_gate(unpack(cell, GATES[kind_of(cell)], _from_keras(one)))


def from_keras(
    weights: Weights,
    *,
    bidirectional: bool = False,
    reset_after: bool | None = None,
    use_bias: bool = True,
    nonlinearity: str = "tanh",
) -> RecurrentLayers:
    """New layers with Keras' weights; cells and sizes follow from the weights.

    Args:
        weights: one dict for each layer and direction, or what ``get_weights()`` returns.
        bidirectional: whether every two of them are the two directions of one layer.
        reset_after: of a GRU; its bias tells, and without one Keras' default is True.
        use_bias: in one long list, whether every third array is a bias.
        nonlinearity: of a SimpleRNN, ``"tanh"`` (Keras' default) or ``"relu"``; the weights do not tell.

    Raises:
        WeightsError: these are not the weights of such layers; all problems are listed.
    """
    switch(bidirectional, "from_keras: bidirectional")
    if reset_after is not None:
        switch(reset_after, "from_keras: reset_after")
    found = _dicts(weights, 3 if switch(use_bias, "from_keras: use_bias") else 2)
    problems = [f"{n}.{name} is missing" for n, one in enumerate(found) for name in _NAMES[:2] if name not in one]
    if not found or len(found) % (1 + bidirectional):
        problems.append(f"{len(found)} layers and directions with bidirectional={bidirectional}")
    refuse("Keras: nothing was loaded", problems)
    cells: list[Cell[Any]] = []
    for one in found:
        kernel, recurrent_kernel, bias = one["kernel"], one["recurrent_kernel"], one.get("bias")
        kind, D, H = sizes_of("Keras", kernel.T, recurrent_kernel.T)
        after = reset_after if reset_after is not None else bias is None or bias.ndim == 2
        options = options_of(kind, reset="after" if after else "before", nonlinearity=nonlinearity)
        cells.append(make_cell(kind, D, H, bias=bias is not None, dtype=kernel.dtype, **options))
    step = 1 + bidirectional
    layers = new_layers("Keras", [cells[k : k + step] for k in range(0, len(cells), step)])
    load_keras(layers, found)
    return layers


def _to_keras(cell: Cell[Any], grad: bool = False) -> dict[str, Array]:
    packed = pack(cell, GATES[kind_of(cell)], grad)
    weights = {"kernel": packed.W_x.T.copy(), "recurrent_kernel": packed.W_h.T.copy()}
    if packed.b_x is not None and packed.b_h is not None:
        two = isinstance(cell, GRU) and cell.reset == "after"
        weights["bias"] = np.stack([packed.b_x, packed.b_h]) if two else packed.b_x
    return weights


def _from_keras(weights: Mapping[str, Array]) -> Packed:
    bias = weights.get("bias")
    biases = () if bias is None else tuple(bias) if bias.ndim == 2 else (bias,)
    return Packed(weights["kernel"].T, weights["recurrent_kernel"].T, *biases)


def _dicts(weights: Any, per_cell: int) -> list[dict[str, Array]]:
    """One dict of arrays for each layer and direction."""
    given = [weights] if isinstance(weights, Mapping) else weights
    if not isinstance(given, list | tuple):
        raise WeightsError(f"Keras: nothing was loaded: expected a list of dicts or of arrays, got {type(weights).__name__}")
    if not any(isinstance(one, Mapping) for one in given):
        rows = [given[k : k + per_cell] for k in range(0, len(given), per_cell)]
        given = [dict(zip(_NAMES, row, strict=False)) for row in rows]
    if not all(isinstance(one, Mapping) for one in given):
        raise WeightsError("Keras: nothing was loaded: dicts and arrays are mixed in one list")
    return regrouped(arrays_of("Keras", numbered(given)), len(given))
