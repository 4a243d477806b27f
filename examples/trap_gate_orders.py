"""Gates are stacked in one matrix: what happens to weights that come from a library with another order?

                      torch        Keras        ONNX         here
    LSTM              i f g o      i f c o      i o f c      i f g o           c is the candidate g
    GRU               r z n        z r h        z r h        u r c             n and h are the candidate c, z = 1 − u

All of them are 4H × D, or 3H × D: no shape tells the order. The weights of a cell are stacked as each library does, then
read block by block as if the order were the one used here, and then by the names of the blocks.
"""

from pathlib import Path
from typing import Any

import numpy as np
from lesson import output_folder
from minigrad.models import GRU, LSTM, unroll
from minigrad.models.recurrent import Cell
from minigrad.viz import draw

Weights = dict[str, np.ndarray]

HERE = {"LSTM": "ifgo", "GRU": "urc"}
THEIRS = {
    "LSTM": {"torch": "ifgo", "Keras": "ifgo", "ONNX": "iofg"},
    "GRU": {"torch": "ruc", "Keras": "urc", "ONNX": "urc"},
}


def stacked(w: Weights, order: str, z: bool) -> Weights:
    """W_x, W_h and b with their blocks in that order; ``z``: the update gate in the other convention, sign changed."""
    sign = {"u": -1.0 if z else 1.0}
    return {
        kind: np.concatenate([sign.get(gate, 1.0) * w[name.format(gate)] for gate in order])
        for kind, name in (("W_x", "W_{}x"), ("W_h", "W_{}h"), ("b", "b_{}"))
    }


def taken_apart(s: Weights, order: str, z: bool) -> Weights:
    """The inverse of `stacked`."""
    sign = {"u": -1.0 if z else 1.0}
    blocks = {kind: dict(zip(order, np.split(value, len(order)), strict=True)) for kind, value in s.items()}
    names = {"W_x": "W_{}x", "W_h": "W_{}h", "b": "b_{}"}
    return {names[kind].format(gate): sign.get(gate, 1.0) * block for kind in s for gate, block in blocks[kind].items()}


def main(folder: Path) -> None:
    """Print how far h_1 … h_10 are off, for each library, when the order is ignored and when it is heeded."""
    D, H = 3, 4
    xs = np.random.default_rng(0).normal(size=(10, 1, D))
    cells: dict[str, Cell[Any]] = {"LSTM": LSTM(D, H, seed=1), "GRU": GRU(D, H, seed=1)}
    heeded_off, ignored_off = [], []
    for kind, cell in cells.items():
        w, here = cell.by_gate(), HERE[kind]
        right = unroll(cell, xs)[0].numpy()
        for library, order in THEIRS[kind].items():
            z = kind == "GRU"
            theirs = stacked(w, order, z)
            off = {}
            for how, values in {
                "ignored": taken_apart(theirs, here, z=False),
                "heeded": taken_apart(theirs, order, z),
            }.items():
                cell.load_by_gate(values)
                off[how] = float(np.abs(unroll(cell, xs)[0].numpy() - right).max())
            cell.load_by_gate(w)
            heeded_off.append(off["heeded"])
            ignored_off.append(off["ignored"])
            print(f"{kind:<5} from {library:<6} W_x {theirs['W_x'].shape}   off by {off['ignored']:.15f} with the order "
                  f"ignored, {off['heeded']:.1e} with the order heeded")

    wrong = [off for off in ignored_off if off > 0]
    print(
        f"Answer: they fit and are wrong: {len(wrong)} of {len(ignored_off)} are off, by {min(wrong):.2f} to {max(wrong):.2f}. "
        f"Take blocks by name, mind z = 1 − u, and all are right to 13 digits ({max(heeded_off) < 1e-13})."
    )

    draw(unroll(cells["LSTM"], xs[:3])[0][2].sum(), title="Four gates, one matrix").save(folder / "trap_gate_orders.svg")


if __name__ == "__main__":
    main(output_folder())
