"""The weights of ONNX's RNN, GRU and LSTM operators.

| ONNX | shape | here |
| --- | --- | --- |
| W | (directions, gates · H, D) | the W_·x |
| R | (directions, gates · H, H) | the W_·h |
| B | (directions, 2 · gates · H) | those beside W, then those beside R: b_· is their sum; see below |
| P | (directions, 3H) | the peepholes of an LSTM, in the order p_i, p_o, p_f |

Gates: LSTM i o f c, GRU z r h with z = 1 − u. ``linear_before_reset=0``, ONNX's default, is reset="before" here; 1 is
reset="after", and then the two biases of the candidate are b_c and b_ch. An operator is one layer in one or in both
directions, so weights are a list with one dict for each layer; B and P may be left out. What the weights do not tell are
attributes of the operator, see `onnx_attributes`. Both sides are time-major (``layout=0``); Y is (T, directions, B, H).

>>> layers = RecurrentLayers("gru", 3, 4, num_layers=2, bidirectional=True, seed=0)
>>> weights = to_onnx(layers)
>>> {name: array.shape for name, array in weights[1].items()}
{'W': (2, 12, 8), 'R': (2, 12, 4), 'B': (2, 24)}
>>> onnx_attributes(layers)[1]
{'hidden_size': 4, 'direction': 'bidirectional', 'linear_before_reset': 0}
>>> same = from_onnx(weights)
>>> all(np.array_equal(layers.state_dict()[name], value) for name, value in same.state_dict().items())
True
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from minigrad.arguments import count

from ..cells import GRU, LSTM, RNN, make_cell
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
    traits,
    unpack,
)

__all__ = ["from_onnx", "load_onnx", "onnx_attributes", "to_onnx"]

GATES = {"rnn": "h", "gru": "urc", "lstm": "iofg"}
_PEEPHOLES = ("p_i", "p_o", "p_f")

Weights: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""A dict for each layer."""


def to_onnx(layers: Layers, *, grad: bool = False) -> list[dict[str, Array]]:
    """The weights under ONNX's names, new arrays: one dict for each layer.

    Args:
        layers: of RNN, GRU or LSTM cells; or one such cell.
        grad: the gradients instead.

    Raises:
        WeightsError: ONNX has no such layers; all reasons are listed.
        GraphError: gradients are asked for and there are none.
    """
    return [_joined([_to_onnx(cell, grad) for cell in layer]) for layer in _cells(layers)]


def onnx_attributes(layers: Layers) -> list[dict[str, Any]]:
    """The attributes of the operators that `to_onnx` gives the weights of, one dict for each layer.

    A single cell is ``"forward"``; unrolled with reverse=True it is ``"reverse"``, with the same weights.
    """
    found = []
    for directions in _cells(layers):
        cell, two = directions[0], len(directions) == 2
        attributes: dict[str, Any] = {"hidden_size": cell.hidden_size, "direction": "bidirectional" if two else "forward"}
        if isinstance(cell, GRU):
            attributes["linear_before_reset"] = int(cell.reset == "after")
        if isinstance(cell, RNN):
            attributes["activations"] = [cell.nonlinearity.capitalize()] * len(directions)
        found.append(attributes)
    return found


def load_onnx(layers: Layers, weights: Weights) -> None:
    """Put ONNX's weights into existing layers.

    Args:
        layers: as in `to_onnx`.
        weights: one dict for each layer.

    Raises:
        WeightsError: names, shapes or the number of layers do not fit, or numbers would be rounded; all problems are
            listed and nothing is changed.
    """
    cells, wanted, found = _cells(layers), to_onnx(layers), _dicts(weights)
    hints = [f"{len(found)} layers were given, {len(wanted)} are there"] * (len(found) != len(wanted))
    check_fit("ONNX", numbered(found), numbered(wanted), hints)
    for directions, one in zip(cells, found, strict=True):
        for number, cell in enumerate(directions):
            own = {name: array[number] for name, array in one.items()}
            biases = np.split(own["B"], 2) if "B" in own else []
            values = unpack(cell, GATES[kind_of(cell)], Packed(own["W"], own["R"], *biases))
            if "P" in own:
                values |= dict(zip(_PEEPHOLES, np.split(own["P"], 3), strict=True))
            cell.load_by_gate(values)


def from_onnx(weights: Weights, *, linear_before_reset: int = 0, nonlinearity: str = "tanh") -> RecurrentLayers:
    """New layers with ONNX's weights; cells, sizes and directions follow from the weights.

    Args:
        weights: one dict for each layer.
        linear_before_reset: of a GRU, 0 (ONNX's default) or 1; the weights do not tell.
        nonlinearity: of an RNN, ``"tanh"`` (ONNX's default) or ``"relu"``; the weights do not tell.

    Raises:
        WeightsError: these are not the weights of such operators; all problems are listed.
    """
    count(linear_before_reset, "from_onnx: linear_before_reset", 0, 1)
    found = _dicts(weights)
    problems = [f"{n}.{name} is missing" for n, one in enumerate(found) for name in "WR" if name not in one]
    refuse("ONNX: nothing was loaded", problems or ["no layers"] * (not found))
    reset = "after" if linear_before_reset else "before"
    cells: list[list[Cell[Any]]] = []
    for number, one in enumerate(found):
        W, R = one["W"], one["R"]
        if W.ndim != 3 or R.ndim != 3 or len(W) != len(R) or len(W) not in (1, 2):
            raise WeightsError(
                f"ONNX: nothing was loaded: {number}.W and {number}.R should be (directions, gates · H, D) and (directions, "
                f"gates · H, H) in 1 or 2 directions, and are {W.shape} and {R.shape}"
            )
        kind, D, H = sizes_of("ONNX", W[0], R[0])
        options = options_of(kind, reset=reset, nonlinearity=nonlinearity, peepholes="P" in one)
        cells.append([make_cell(kind, D, H, bias="B" in one, dtype=W.dtype, **options) for _ in W])
    layers = new_layers("ONNX", cells)
    load_onnx(layers, found)
    return layers


def _cells(layers: Layers) -> list[list[Cell[Any]]]:
    cells = cells_of("ONNX", layers, peepholes=True)
    if any(len({traits(cell) for cell in directions}) > 1 for directions in cells):
        raise WeightsError("ONNX has no counterpart of: a layer whose two directions are cells of two kinds or sizes")
    return cells


def _to_onnx(cell: Cell[Any], grad: bool) -> dict[str, Array]:
    packed = pack(cell, GATES[kind_of(cell)], grad)
    weights = {"W": packed.W_x, "R": packed.W_h}
    if packed.b_x is not None and packed.b_h is not None:
        weights["B"] = np.concatenate([packed.b_x, packed.b_h])
    if isinstance(cell, LSTM) and cell.peepholes:
        values = cell.by_gate(grad=grad)
        weights["P"] = np.concatenate([values[name] for name in _PEEPHOLES])
    return weights


def _joined(directions: list[dict[str, Array]]) -> dict[str, Array]:
    return {name: np.stack([one[name] for one in directions]) for name in directions[0]}


def _dicts(weights: Any) -> list[dict[str, Array]]:
    """One dict of arrays for each layer, without what is None."""
    given = [weights] if isinstance(weights, Mapping) else weights
    if not isinstance(given, list | tuple) or not all(isinstance(one, Mapping) for one in given):
        raise WeightsError(f"ONNX: nothing was loaded: expected a list of dicts, got {type(weights).__name__}")
    present = {name: value for name, value in numbered(given).items() if value is not None}
    return regrouped(arrays_of("ONNX", present), len(given))
