"""The matrices as C3 and C4 write them: one for each gate, acting on the state and the input in one vector, [h, x].

| cell | C3 and C4 | here |
| --- | --- | --- |
| RNN | W_h, b_h | [W_hh, W_hx] side by side, b_h |
| one-gate RNN | W_g, W_s | [W_gs, W_gx], [W_ss, W_sx] |
| GRU | W_u W_r W_c, b_u b_r b_c | [W_uh, W_ux] … ; with reset="after" also b_ch |
| LSTM | W_u W_f W_c W_o, b_u b_f b_c b_o | Γ_u is the input gate i, c̃ the candidate g: [W_ih, W_ix] … [W_oh, W_ox] |

Every matrix is (H, H + D), the state first.

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

from ..cells import make_cell
from ..recurrent import Cell
from .weights import Array, WeightsError, arrays_of, check_fit

__all__ = ["from_courses", "load_courses", "to_courses"]

_LSTM = {"i": "u", "g": "c"}


def to_courses(cell: Cell[Any], *, grad: bool = False) -> dict[str, Array]:
    """The weights of a cell, or their gradients, under the names of C3 and C4; new arrays."""
    return {_renamed(cell, name): array for name, array in cell.by_gate(grad=grad, concatenated=True).items()}


def load_courses(cell: Cell[Any], weights: Mapping[str, Any]) -> None:
    """Put the matrices of C3 and C4 into an existing cell.

    Raises:
        WeightsError: names or shapes do not fit, or numbers would be rounded; all problems are listed and nothing is
            changed.
    """
    arrays = arrays_of(f"courses, {cell.label}", weights)
    own = cell.by_gate(concatenated=True)
    check_fit(f"courses, {cell.label}", arrays, {_renamed(cell, name): array for name, array in own.items()})
    cell.load_by_gate({name: arrays[_renamed(cell, name)] for name in own})


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
    arrays = arrays_of(f"courses, {name}", weights)
    matrices = [array for key, array in arrays.items() if key.startswith("W_") and array.ndim == 2]
    H, columns = matrices[0].shape if matrices else (0, 0)
    if not 0 < H < columns:
        raise WeightsError(f"courses, {name}: nothing was loaded: expected matrices W_· (H, H + D), acting on [h, x]")
    if name != "gated_rnn" and not any(key.startswith("b_") for key in arrays):
        options = {"bias": False} | options
    cell = make_cell(name, columns - H, H, **{"dtype": matrices[0].dtype} | options)
    load_courses(cell, arrays)
    return cell


def _renamed(cell: Cell[Any], name: str) -> str:
    """``W_i`` as ``W_u`` and ``b_g`` as ``b_c`` in an LSTM; other names as they are."""
    kind, _, gate = name.partition("_")
    return f"{kind}_{_LSTM.get(gate, gate)}" if cell.label == "lstm" else name
