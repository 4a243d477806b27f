"""What the translations share: a cell's parameters stacked in any order of gates, and the checks of foreign weights."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from minigrad.arguments import named_one_of
from minigrad.errors import ArgumentError, DTypeError, ShapeError
from minigrad.guard import entering

from ..cells import GRU, LSTM, RNN
from ..cells.rnn import NONLINEARITIES
from ..layers import RecurrentLayers
from ..recurrent import Cell

__all__ = [
    "Array",
    "Layers",
    "Packed",
    "WeightsError",
    "arrays_of",
    "cells_of",
    "check_fit",
    "kind_of",
    "new_layers",
    "numbered",
    "options_of",
    "pack",
    "refuse",
    "regrouped",
    "sizes_of",
    "traits",
    "unpack",
]

Array: TypeAlias = npt.NDArray[Any]
Layers: TypeAlias = RecurrentLayers | Cell[Any]
"""What has weights: stacked layers, or one cell, which counts as one layer in one direction."""

_KINDS = {1: "rnn", 3: "gru", 4: "lstm"}


class WeightsError(ArgumentError, ShapeError):
    """Weights that do not fit, or layers that the other framework does not have; all problems are listed."""


class Packed(NamedTuple):
    """One cell's parameters as other frameworks have them: its gates one above the other in some order.

    Attributes:
        W_x: (gates · H, D), acts on the input.
        W_h: (gates · H, H), acts on the state.
        b_x: (gates · H,), added to W_x x; None without biases.
        b_h: (gates · H,), added to W_h h; None without biases, or where there is only one.
    """

    W_x: Array
    W_h: Array
    b_x: Array | None = None
    b_h: Array | None = None


def pack(cell: Cell[Any], gates: str, grad: bool = False) -> Packed:
    """A cell's parameters, or their gradients, in this order of gates; u becomes z = 1 − u, which changes its sign.

    >>> cell = GRU(1, 1, seed=0)
    >>> values, packed = cell.by_gate(), pack(cell, "ruc")
    >>> packed.W_x[0] == values["W_rx"][0], packed.W_x[1] == -values["W_ux"][0]
    (array([ True]), array([ True]))
    """
    values = cell.by_gate(grad=grad)
    W_x, W_h = _stacked("W_{}x", gates, values), _stacked("W_{}h", gates, values)
    if f"b_{gates[0]}" not in values:
        return Packed(W_x, W_h)
    b_x = _stacked("b_{}", gates, values)
    b_h = b_x.copy() if grad else np.zeros_like(b_x)  # of a sum, the gradient of either part is that of the sum
    if "b_ch" in values:
        b_h[_rows("c", gates, cell.hidden_size)] = values["b_ch"]
    return Packed(W_x, W_h, b_x, b_h)


def unpack(cell: Cell[Any], gates: str, packed: Packed) -> dict[str, Array]:
    """The inverse of `pack`: what ``cell.load_by_gate`` takes."""
    H = cell.hidden_size
    values: dict[str, Array] = {}
    for name, array in {"W_{}x": packed.W_x, "W_{}h": packed.W_h, "b_{}": _sum(packed.b_x, packed.b_h)}.items():
        if array is not None:
            values |= {name.format(gate): _turned(gate, array[_rows(gate, gates, H)]) for gate in gates}
    if packed.b_x is not None and packed.b_h is not None and isinstance(cell, GRU) and cell.reset == "after":
        candidate = _rows("c", gates, H)
        values |= {"b_c": packed.b_x[candidate], "b_ch": packed.b_h[candidate]}
    return values


def _stacked(name: str, gates: str, values: Mapping[str, Array]) -> Array:
    return np.concatenate([_turned(gate, values[name.format(gate)]) for gate in gates])


def _turned(gate: str, values: Array) -> Array:
    """Between u and z = 1 − u the sign changes; no other gate has the letter u."""
    return -values if gate == "u" else values


def _rows(gate: str, gates: str, hidden_size: int) -> slice:
    place = gates.index(gate)
    return slice(place * hidden_size, (place + 1) * hidden_size)


def _sum(b_x: Array | None, b_h: Array | None) -> Array | None:
    """b_x + b_h, and b_x itself, to the sign of a zero, where b_h is 0."""
    return b_x if b_x is None or b_h is None else np.where(b_h == 0, b_x, b_x + b_h)


# ---------------------------------------------------------------- what can be translated


def kind_of(cell: Any) -> str:
    """``"rnn"``, ``"gru"`` or ``"lstm"``."""
    return str(cell.label)


def traits(cell: Any) -> tuple[Any, ...]:
    """What two cells must have in common to stand side by side in one layer of torch's or ONNX's."""
    has_bias = any(name.startswith("b") for name, _ in cell.named_parameters())
    switches = [getattr(cell, name, None) for name in ("nonlinearity", "reset", "peepholes")]
    return (kind_of(cell), cell.hidden_size, has_bias, *switches)


def cells_of(where: str, layers: Layers, *, peepholes: bool = False, reset_before: bool = True) -> list[list[Cell[Any]]]:
    """The cells, [layer][direction].

    Args:
        where: the framework's name.
        layers: stacked layers, or one cell.
        peepholes: whether the framework has LSTMs with peepholes.
        reset_before: whether it has GRUs that reset before the product.

    Raises:
        WeightsError: the framework has no such layers; all reasons are listed.
    """
    if not isinstance(layers, RecurrentLayers | Cell):
        raise WeightsError(f"{where}: expected RecurrentLayers or a cell of models.cells, got {layers!r}")
    problems: list[str] = []
    cells: list[list[Any]] = [[layers]]
    if isinstance(layers, RecurrentLayers):
        cells = [list(directions) for directions in layers.cells]
        problems += ["layers with residual=True"] * (layers.residual and layers.num_layers > 1)
        problems += ["layers with learn_initial_state=True"] * (layers.initial_states is not None)
    for cell in (cell for directions in cells for cell in directions):
        problems += _without_counterpart(cell, peepholes, reset_before)
    refuse(f"{where} has no counterpart of", dict.fromkeys(problems))
    return cells


def _without_counterpart(cell: Any, peepholes: bool, reset_before: bool) -> Iterable[str]:
    if isinstance(cell, GRU):
        if len(cell.gates) < 3:
            yield "a gru without one of its gates"
        if cell.reset == "before" and not reset_before:
            yield 'a gru with reset="before" (reset="after" is another function)'
    elif isinstance(cell, LSTM):
        if cell.coupled:
            yield "an lstm with coupled=True"
        if cell.peepholes and not peepholes:
            yield "an lstm with peepholes=True"
        if not cell.output_tanh:
            yield "an lstm with output_tanh=False"
    elif not isinstance(cell, RNN):
        yield f"the cell {type(cell).__name__}"


# ---------------------------------------------------------------- new layers for foreign weights


def sizes_of(where: str, W_x: Array, W_h: Array) -> tuple[str, int, int]:
    """The cell that has weights (gates · H, D) and (gates · H, H), and its D and H.

    Raises:
        WeightsError: no cell has such weights.

    >>> sizes_of("torch", np.ones((12, 5)), np.ones((12, 3)))
    ('lstm', 5, 3)
    """
    rows, D = W_x.shape if W_x.ndim == 2 else (0, 0)
    H = W_h.shape[1] if W_h.ndim == 2 else 0
    kind = _KINDS.get(rows // H) if H and D and rows % H == 0 else None
    if kind is None:
        raise WeightsError(
            f"{where}: nothing was loaded: weights {W_x.shape} for the input and {W_h.shape} for the state belong to no "
            "cell; expected (gates · H, D) and (gates · H, H) with 1, 3 or 4 gates"
        )
    return kind, D, H


def options_of(kind: str, *, reset: str, nonlinearity: str, peepholes: bool = False) -> dict[str, Any]:
    """Those of these options that a kind of cell has."""
    named_one_of(nonlinearity, f"{kind}: nonlinearity", NONLINEARITIES)
    options: dict[str, dict[str, Any]]
    options = {"rnn": {"nonlinearity": nonlinearity}, "gru": {"reset": reset}, "lstm": {"peepholes": peepholes}}
    return options[kind]


def new_layers(where: str, cells: list[list[Cell[Any]]]) -> RecurrentLayers:
    """Layers of these cells, [layer][direction].

    Raises:
        WeightsError: a layer does not read what the one below writes.
    """
    problems = []
    for number, (below, above) in enumerate(itertools.pairwise(cells), 1):
        written = sum(cell.hidden_size for cell in below)
        problems += [
            f"layer {number + 1} reads {cell.input_size} numbers and layer {number} writes {written}"
            for cell in above
            if cell.input_size != written
        ]
    refuse(f"{where}: nothing was loaded", dict.fromkeys(problems))
    return RecurrentLayers([directions[0] if len(directions) == 1 else (directions[0], directions[1]) for directions in cells])


# ---------------------------------------------------------------- checks of foreign weights


def arrays_of(where: str, weights: Mapping[str, Any]) -> dict[str, Array]:
    """Everything as NumPy arrays of floating-point numbers; tensors of other frameworks become arrays by their own means.

    Raises:
        WeightsError: something is no array of floating-point numbers; all that are not are listed.
    """
    if not isinstance(weights, Mapping):
        raise WeightsError(f"{where}: nothing was loaded: expected a dict of arrays, got {type(weights).__name__}")
    arrays, problems = {}, []
    for name, value in weights.items():
        try:
            arrays[str(name)] = array = np.asarray(entering(value, str(name)))
        except DTypeError as problem:
            problems.append(str(problem))
        except (TypeError, ValueError, RuntimeError) as problem:
            problems.append(f"{name} cannot become an array ({problem})")
        else:
            if array.dtype.kind != "f":
                problems.append(f"{name} holds {array.dtype} instead of floating-point numbers")
    refuse(f"{where}: nothing was loaded", problems)
    return arrays


def numbered(weights: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The entries of several dicts as one, under names such as ``"0.kernel"``."""
    return {f"{number}.{name}": value for number, one in enumerate(weights) for name, value in one.items()}


def regrouped(arrays: Mapping[str, Array], count: int) -> list[dict[str, Array]]:
    """The inverse of `numbered`, of so many dicts."""
    groups: list[dict[str, Array]] = [{} for _ in range(count)]
    for name, array in arrays.items():
        number, _, own = name.partition(".")
        groups[int(number)][own] = array
    return groups


def check_fit(
    where: str,
    found: Mapping[str, Array],
    wanted: Mapping[str, Array],
    hints: Iterable[str] = (),
    called: Mapping[str, str] | None = None,
) -> None:
    """Refuse arrays whose names or shapes are not those wanted, or whose numbers would be rounded; all at once.

    ``called`` says how their giver writes names, where that is otherwise.
    """
    words = {name: name for name in (*wanted, *found)} | dict(called or {})
    problems = [f"{words[name]} is missing" for name in wanted if name not in found]
    problems += [f"{words[name]} does not belong here" for name in found if name not in wanted]
    for name in (name for name in wanted if name in found):
        if found[name].shape != wanted[name].shape:
            problems.append(f"{words[name]} should be {wanted[name].shape} and is {found[name].shape}")
        elif not np.can_cast(found[name].dtype, wanted[name].dtype):
            given, own = found[name].dtype, wanted[name].dtype
            problems.append(f"{words[name]} is {given} and would be rounded to {own}; convert it first with astype")
    refuse(f"{where}: nothing was loaded", [*hints, *problems])


def refuse(what: str, problems: Iterable[str]) -> None:
    """Raise WeightsError if there are problems."""
    listed = "; ".join(problems)
    if listed:
        raise WeightsError(f"{what}: {listed}")
