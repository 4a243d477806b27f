"""An LSTM of 100 units reads words from a vocabulary of 10,000: how many entries has a gate?

    Γ_u, Γ_f, Γ_o = σ(W_· [a<t−1>, x<t>] + b_·)          c<t> = Γ_u ⊙ c̃ + Γ_f ⊙ c<t−1>          (C3)

A gate multiplies c<t−1> or c̃ entry by entry, so it must have as many entries as they have. The vocabulary shows only in
the width of W_·, which reads x<t>. The gates are looked up in the recorded graph of one step, with x<t> one-hot.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import LSTM, unroll
from minigrad.viz import draw

from minigrad import walk


def main(folder: Path) -> None:
    """Print the shape of everything in one step."""
    units, vocabulary_size = 100, 10_000
    cell = LSTM(input_size=vocabulary_size, hidden_size=units, seed=0)
    word = np.eye(1, vocabulary_size, k=1234)
    hs, (c, h) = unroll(cell, word[None])

    gates = {node.name: node.shape[-1] for node in walk(hs) if node.time == 1 and node.name in ("i", "f", "o")}
    course = {"i": "Γ_u", "f": "Γ_f", "o": "Γ_o"}
    for name, entries in gates.items():
        print(f"{course[name]} ({name}): {entries} entries")
    print(f"c<t>: {c.shape[-1]} entries, a<t>: {h.shape[-1]} entries, x<t>: {word.shape[-1]} entries")
    W = cell.by_gate()
    print(f"W_f = [W_fh, W_fx] is {W['W_fh'].shape[0]} × ({W['W_fh'].shape[1]} + {W['W_fx'].shape[1]})")

    print(f"Answer: {set(gates.values()).pop()}, one for each unit, in every one of the {len(gates)} gates.")

    draw(hs.sum(), title="One step of an LSTM with 100 units").save(folder / "c3_lstm_gate_size.svg")


if __name__ == "__main__":
    main(output_folder())
