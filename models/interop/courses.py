"""The matrices as C3 and C4 write them: one for each gate, acting on the state and the input in one vector, [h, x].

| cell | C3 and C4 | here |
| --- | --- | --- |
| RNN | W_h, b_h | [W_hh, W_hx] side by side, b_h |
| one-gate RNN | W_g, W_s; with bias=True b_g, b_s | [W_gs, W_gx], [W_ss, W_sx] |
| GRU | W_u W_r W_c, b_u b_r b_c | [W_uh, W_ux] … ; with reset="after" also b_ch |
| LSTM | W_u W_f W_c W_o, b_u b_f b_c b_o | Γ_u is the input gate i, c̃ the candidate g: [W_ih, W_ix] … [W_oh, W_ox] |

Every matrix is (H, H + D), the state first. The names of the courses' programs are read as well: Wf, Wi (which is Γ_u), Wc,
Wo and bf … of an LSTM, Wu, Wr, Wc and bu … of a GRU, Waa, Wax and ba (or W_hh and W_hx, or C5's W and V) of an RNN; and so are
biases that are columns, (H, 1).

>>> import numpy as np
>>> from minigrad.models.cells import LSTM
>>> cell = LSTM(3, 4, seed=0)
>>> {name: array.shape for name, array in to_courses(cell).items()}
... # doctest: +NORMALIZE_WHITESPACE
{'W_u': (4, 7), 'W_f': (4, 7), 'W_c': (4, 7), 'W_o': (4, 7), 'b_u': (4,), 'b_f': (4,), 'b_c': (4,), 'b_o': (4,)}
>>> same = from_courses("lstm", to_courses(cell))
>>> all(np.array_equal(cell.state_dict()[name], value) for name, value in same.state_dict().items())
True
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad.arguments import named_one_of
from minigrad.errors import DTypeError

from ..cells import CELLS, make_cell
from ..recurrent import Cell
from .weights import Array, WeightsError, arrays_of, check_fit, refuse

__all__ = ["from_courses", "load_courses", "to_courses"]

_LSTM = {"i": "u", "g": "c"}

_WRITTEN = {
    "rnn": {"ba": "b_h", "b": "b_h"},
    "gru": {f"{kind}{gate}": f"{kind}_{gate}" for kind in "Wb" for gate in "urc"},
    "lstm": {f"{kind}{gate}": f"{kind}_{_LSTM.get(gate, gate)}" for kind in "Wb" for gate in "ifcou"},
}
"""The names in the courses' programs, and those in their formulas."""

_SIDE_BY_SIDE = {"rnn": (("Waa", "Wax"), ("W_hh", "W_hx"), ("W", "V"))}
"""Two matrices that stand for one, [W_hh, W_hx]."""


def to_courses(cell: Cell[Any], *, grad: bool = False) -> dict[str, Array]:
    """The weights of a cell, or their gradients, under the names of C3 and C4; new arrays."""
    _checked(cell, "to_courses")
    return {_renamed(cell, name): array for name, array in cell.by_gate(grad=grad, concatenated=True).items()}


def load_courses(cell: Cell[Any], weights: Mapping[str, Any]) -> None:
    """Put the matrices of C3 and C4 into an existing cell.

    Raises:
        WeightsError: names or shapes do not fit, or numbers would be rounded; all problems are listed and nothing is
            changed.
    """
    _checked(cell, "load_courses")
    _load(cell, _read(cell.label, weights), _called(cell.label, weights))


def from_courses(name: str, weights: Mapping[str, Any], **options: Any) -> Cell[Any]:
    """A new cell with the matrices of C3 and C4; its sizes follow from them, and bias=False from there being none.

    Args:
        name: of the cell, ``"rnn"``, ``"gated_rnn"``, ``"gru"`` or ``"lstm"``.
        weights: by name.
        options: those of the cell, such as ``output_tanh=False``.

    Raises:
        WeightsError: these are not the weights of such a cell; all problems are listed.
        ArgumentError: the cell or the option does not exist.

    >>> import numpy as np
    >>> from_courses("rnn", {"W_h": np.eye(2, 5), "b_h": np.zeros(2)}).by_gate()["W_hx"]
    array([[0., 0., 0.],
           [0., 0., 0.]])
    """
    arrays = _read(name, weights)
    matrices = [array for key, array in arrays.items() if key.startswith("W_") and array.ndim == 2]
    H, columns = matrices[0].shape if matrices else (0, 0)
    if not 0 < H < columns:
        found = ", ".join(f"{key} {np.shape(array)}" for key, array in weights.items()) or "nothing"
        raise WeightsError(
            f"courses, {name}: nothing was loaded: expected matrices W_· (H, H + D), acting on [h, x], under the names "
            f"{_names(name)}; found {found}"
        )
    options = {"bias": any(key.startswith("b_") for key in arrays)} | options
    cell = make_cell(name, columns - H, H, **{"dtype": matrices[0].dtype} | options)
    _load(cell, arrays, _called(name, weights))
    return cell


def _load(cell: Cell[Any], arrays: Mapping[str, Array], called: Mapping[str, str]) -> None:
    """Put arrays into a cell whose givers call them so."""
    own = cell.by_gate(concatenated=True)
    wanted = {_renamed(cell, name): array for name, array in own.items()}
    check_fit(f"courses, {cell.label}", arrays, wanted, called=called)
    cell.load_by_gate({name: arrays[_renamed(cell, name)] for name in own})


def _called(name: str, weights: Mapping[str, Any]) -> dict[str, str]:
    """How the names of the formulas are written where some of the names are those of the courses' programs.

    >>> _called("lstm", {"Wf": 0, "Wi": 0})["W_c"], _called("lstm", {"W_f": 0}), _called("rnn", {"W_h": 0, "ba": 0})
    ('Wc', {}, {'b_h': 'ba'})
    """
    written = _WRITTEN.get(name, {})
    ways: dict[str, list[str]] = {}
    for key, own in written.items() if any(key in written for key in weights) else ():
        ways.setdefault(own, []).append(key)
    return {own: next((key for key in keys if key in weights), keys[0]) for own, keys in ways.items()}


def _checked(cell: Any, where: str) -> None:
    """Raise DTypeError unless it is one of the cells that the courses have."""
    if not isinstance(cell, Cell):
        raise DTypeError(f"{where}: expected a cell, such as LSTM(3, 4), got {cell!r:.60}")


def _renamed(cell: Cell[Any], name: str) -> str:
    """``W_i`` as ``W_u`` and ``b_g`` as ``b_c`` in an LSTM; other names as they are."""
    kind, _, gate = name.partition("_")
    return f"{kind}_{_LSTM.get(gate, gate)}" if cell.label == "lstm" else name


def _names(name: str) -> str:
    """What the matrices of a cell are called, in the formulas and in the programs."""
    formulas = {"rnn": "W_h", "gated_rnn": "W_g, W_s", "gru": "W_u, W_r, W_c", "lstm": "W_u, W_f, W_c, W_o"}
    programs = {"rnn": " (or Waa and Wax, or W and V)", "gru": " (or Wu, Wr, Wc)", "lstm": " (or Wi, Wf, Wc, Wo)"}
    return formulas.get(name, "W_·") + programs.get(name, "")


def _read(name: str, weights: Mapping[str, Any]) -> dict[str, Array]:
    """The arrays under the names of the formulas, biases as vectors.

    >>> sorted(_read("rnn", {"Waa": np.zeros((2, 2)), "Wax": np.zeros((2, 3)), "ba": np.zeros((2, 1))}))
    ['W_h', 'b_h']
    """
    named_one_of(name, "courses", CELLS)
    where = f"courses, {name}"
    arrays = arrays_of(where, weights)
    for pair in _SIDE_BY_SIDE.get(name, ()):
        if all(key in arrays and arrays[key].ndim == 2 for key in pair) and "W_h" not in arrays:
            left, right = (arrays.pop(key) for key in pair)
            refuse(where, [f"{pair[0]} {left.shape} and {pair[1]} {right.shape} differ in H"] * (len(left) != len(right)))
            arrays["W_h"] = np.concatenate([left, right], axis=1)
    names = {key: _WRITTEN.get(name, {}).get(key, key) for key in arrays}
    twice = [[key for key in names if names[key] == own] for own in dict.fromkeys(names.values())]
    problems = [f"{' and '.join(keys)} are one and the same" for keys in twice if len(keys) > 1]
    outer = [key for key in arrays if key in ("Wy", "by", "Wya", "U", "b_y")]
    problems += [f"{key} belongs to the output layer, a Head(H, N): its W_yh and b_y" for key in outer]
    refuse(f"{where}: nothing was loaded", problems)
    columns = {key for key, array in arrays.items() if key.startswith("b") and array.shape[1:] == (1,)}
    return {own: arrays[key][:, 0] if key in columns else arrays[key] for key, own in names.items()}
