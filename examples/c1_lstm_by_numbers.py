"""One LSTM step where every weight, h and c are 1 and x = 5: what is h_t, and can the number 1 be the proof of it?

    i = f = o = σ(1 · 1 + 1 · 5) = σ(6)              no bias (C1)
    g = tanh(6)
    c_t = f · c_{t−1} + i · g = σ(6) · 1 + σ(6) · tanh(6)
    h_t = o · tanh(c_t)

σ(6) and tanh(6) are nearly 1, so the quiz rounds and answers 1. So do four formulas that are wrong. Only digits tell.
"""

from math import exp, tanh
from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import LSTM, LSTMState, unroll
from minigrad.viz import draw

from minigrad import Tensor


def main(folder: Path) -> None:
    """Print the library's c_t and h_t, and h_t by the right and the wrong formulas."""
    cell = LSTM(input_size=1, hidden_size=1)
    cell.load_by_gate({name: np.full(w.shape, 0.0 if name[0] == "b" else 1.0) for name, w in cell.by_gate().items()})
    one = Tensor([[1.0]])
    hs, (c, h) = unroll(cell, [[[5.0]]], LSTMState(c=one, h=one))
    print(f"c_t = {c.item()}")
    print(f"h_t = {h.item()}")

    gate, g = 1 / (1 + exp(-6)), tanh(6)
    formulas = {
        "right: σ(6) · tanh(σ(6) + σ(6) · tanh(6))": gate * tanh(gate + gate * g),
        "wrong: candidate through σ instead of tanh": gate * tanh(gate + gate * gate),
        "wrong: no input gate, c_t = f · c + g": gate * tanh(gate + g),
        "wrong: no forget gate, c_t = c + i · g": gate * tanh(1 + gate * g),
        "wrong: no output gate, h_t = tanh(c_t)": tanh(gate + gate * g),
    }
    for formula, value in formulas.items():
        print(f"{formula:<45} {value:<20} off by {abs(value - h.item()):.1e}, rounds to {round(value)}")

    closest = min(abs(value - h.item()) for formula, value in formulas.items() if formula.startswith("wrong"))
    print(
        f"Answer: h_t = {h.item():.12f}. It rounds to 1, and so do the four wrong formulas, the nearest of them only "
        f"{closest:.1e} away: compare at full precision."
    )

    draw(hs.sum(), title="One LSTM step").save(folder / "c1_lstm_by_numbers.svg")


if __name__ == "__main__":
    main(output_folder())
