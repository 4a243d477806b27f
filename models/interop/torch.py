"""The state_dict of torch.nn.RNN, GRU and LSTM; that of RNNCell, GRUCell and LSTMCell is read too, as of one layer.

| torch | shape | here |
| --- | --- | --- |
| weight_ih_l{k}, weight_ih_l{k}_reverse | (gates · H, D or H · directions) | the W_·x of layer k + 1, forward and backward |
| weight_hh_… | (gates · H, H) | the W_·h |
| bias_ih_…, bias_hh_… | (gates · H,) | b_· is their sum; in the candidate of a GRU they are b_c and b_ch |

Gates: LSTM i f g o, GRU r z n with z = 1 − u, reset after the product. States are stacked as here; torch writes
(h_0, c_0), here it is LSTMState(c, h). ``bias=False`` has no bias keys. A projection (proj_size) does not exist here.

>>> import numpy as np
>>> layers = RecurrentLayers("gru", 3, 4, num_layers=2, bidirectional=True, reset="after", seed=0)
>>> weights = to_torch(layers)
>>> list(weights)[:4], weights["weight_ih_l1_reverse"].shape
(['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0'], (12, 8))
>>> same = from_torch(weights)
>>> all(np.array_equal(layers.state_dict()[name], value) for name, value in same.state_dict().items())
True

With torch: ``module.load_state_dict({name: torch.from_numpy(w) for name, w in to_torch(layers).items()})`` and
``load_torch(layers, module.state_dict())``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from minigrad.arguments import text

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
    options_of,
    pack,
    refuse,
    sizes_of,
    traits,
    unpack,
)

__all__ = ["from_torch", "load_torch", "to_torch"]

GATES = {"rnn": "h", "gru": "ruc", "lstm": "ifgo"}
_FIRST, _CELL = "weight_ih_l0", "weight_ih"
_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_KEY = re.compile(r"(?:weight|bias)_(?:ih|hh)_l([0-9]+)(_reverse)?")


def to_torch(layers: Layers, *, grad: bool = False, prefix: str = "") -> dict[str, Array]:
    """The weights under torch's names, new arrays.

    Args:
        layers: of RNN, GRU (reset="after") or LSTM cells of one kind and size; or one such cell.
        grad: the gradients instead, as torch would have them: those of both biases are equal where they are redundant.
        prefix: is put before every name, such as ``"encoder."``.

    Raises:
        WeightsError: torch has no such layers; all reasons are listed.
        GraphError: gradients are asked for and there are none.
    """
    text(prefix, "to_torch: prefix")
    return {
        f"{prefix}{name}_{suffix}": array
        for suffix, cell in _suffixed(layers).items()
        for name, array in zip(_NAMES, pack(cell, GATES[kind_of(cell)], grad), strict=True)
        if array is not None
    }


def load_torch(layers: Layers, state_dict: Mapping[str, Any], *, prefix: str = "") -> None:
    """Put torch's weights into existing layers.

    Args:
        layers: as in `to_torch`.
        state_dict: arrays or torch's tensors by name.
        prefix: only names that begin with it count, without it.

    Raises:
        WeightsError: names, shapes or the number of layers do not fit, or numbers would be rounded; all problems are
            listed and nothing is changed.
    """
    cells = _suffixed(layers)
    arrays = arrays_of("torch", _below(prefix, state_dict))
    wanted = to_torch(layers)
    there, here = _counts(arrays), _counts(wanted)
    check_fit("torch", arrays, wanted, [*_projections(arrays), *[f"{there} were given, {here} are there"] * (there != here)])
    for suffix, cell in cells.items():
        names = [f"{name}_{suffix}" for name in _NAMES]
        packed = Packed(*[arrays[name] for name in names if name in arrays])
        cell.load_by_gate(unpack(cell, GATES[kind_of(cell)], packed))


def from_torch(
    state_dict: Mapping[str, Any], *, nonlinearity: str = "tanh", dropout: float = 0.0, prefix: str = ""
) -> RecurrentLayers:
    """New layers with torch's weights; cell, sizes, number of layers, directions and biases follow from the weights.

    Args:
        state_dict: arrays or torch's tensors by name.
        nonlinearity: of an RNN, ``"tanh"`` or ``"relu"``; the weights do not tell.
        dropout: between the layers in training; the weights do not tell.
        prefix: only names that begin with it count, without it.

    Raises:
        WeightsError: these are not the weights of an RNN, GRU or LSTM; all problems are listed.
    """
    arrays = arrays_of("torch", _below(prefix, state_dict))
    first = [name for name in ("weight_ih_l0", "weight_hh_l0") if name not in arrays]
    unknown = [name for name in arrays if not _KEY.fullmatch(name)]
    problems = [*_projections(arrays), *(f"{name} is missing" for name in first)]
    refuse("torch: nothing was loaded", problems + [f"{name} does not belong here" for name in unknown if first or problems])
    kind, D, H = sizes_of("torch", arrays["weight_ih_l0"], arrays["weight_hh_l0"])
    layers = RecurrentLayers(
        kind,
        D,
        H,
        num_layers=len(_numbers(arrays)),
        bidirectional=any(name.endswith("_reverse") for name in arrays),
        bias=any(name.startswith("bias_") for name in arrays),
        dropout=dropout,
        dtype=arrays["weight_ih_l0"].dtype,
        **options_of(kind, reset="after", nonlinearity=nonlinearity),
    )
    load_torch(layers, arrays)
    return layers


def prefixes(state_dict: Mapping[str, Any]) -> list[str]:
    """What stands before the names of recurrent layers in the state_dict of a network.

    >>> prefixes({"embedding.weight": 0, "rnn.weight_ih_l0": 0, "rnn.weight_hh_l0": 0, "cell.weight_ih": 0})
    ['cell.', 'rnn.']
    """
    names = map(str, state_dict)
    return sorted(name.removesuffix(last) for name in names for last in (_FIRST, _CELL) if name.endswith(f".{last}"))


def _suffixed(layers: Layers) -> dict[str, Cell[Any]]:
    """Every cell under the end of torch's names, such as ``"l0_reverse"``."""
    cells = cells_of("torch", layers, reset_before=False)
    if len({traits(cell) for layer in cells for cell in layer}) > 1:
        raise WeightsError("torch has no counterpart of: layers with cells of several kinds or sizes")
    return {
        f"l{number}{direction}": cell
        for number, layer in enumerate(cells)
        for cell, direction in zip(layer, ("", "_reverse"), strict=False)
    }


def _below(prefix: str, state_dict: Any) -> Any:
    """What stands under ``prefix``, which must be that of recurrent layers if there are any under another."""
    text(prefix, "torch: prefix")
    if not isinstance(state_dict, Mapping):
        return state_dict
    below = {str(name).removeprefix(prefix): value for name, value in state_dict.items() if str(name).startswith(prefix)}
    if _CELL in below:  # of an RNNCell, GRUCell or LSTMCell, which has one layer and does not number it
        below = {f"{name}_l0" if name in _NAMES else name: value for name, value in below.items()}
    others = prefixes(state_dict)
    if _FIRST not in below and others:
        raise WeightsError(
            f"torch: nothing was loaded: there is no {prefix}{_FIRST}. This is the state_dict of a whole network, whose "
            f"recurrent layers are read with {' or '.join(f'prefix={name!r}' for name in others)}"
        )
    return below


def _projections(arrays: Mapping[str, Array]) -> list[str]:
    return [
        f"{name} is a projection (proj_size), and h has the size of c here"
        for name in arrays
        if name.startswith("weight_hr_l")
    ]


def _numbers(arrays: Mapping[str, Array]) -> set[str]:
    return {found[1] for found in map(_KEY.fullmatch, arrays) if found}


def _counts(arrays: Mapping[str, Array]) -> str:
    layers, two = len(_numbers(arrays)), any(name.endswith("_reverse") for name in arrays)
    return f"{layers} layer{'s' * (layers != 1)} in {'two directions' if two else 'one direction'}"
