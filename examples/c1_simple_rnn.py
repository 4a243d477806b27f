"""Can a simple RNN leave a number in its state alone for a hundred steps?

    s_t = tanh(W_ss s_{t−1} + W_sx x_t)          no bias, no gate (C1); the library writes h for s

The state is the result of the tanh, so every entry is written anew at every step. The kindest weights one can think of
ignore the input (W_sx = 0) and hand the state on (W_ss = 1); the next kindest push against the tanh (W_ss = 2).
"""

from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import RNN, unroll
from minigrad.viz import draw

from minigrad import Tensor


def after(steps: int, W_ss: float, s_0: float) -> float:
    """The state after that many steps without input, in a network of one unit."""
    cell = RNN(input_size=1, hidden_size=1, bias=False)
    cell.load_by_gate({"W_hh": [[W_ss]], "W_hx": [[0.0]]})
    _, s = unroll(cell, np.zeros((steps, 1, 1)), Tensor([[s_0]]))
    return float(s.item())


def main(folder: Path) -> None:
    """Print how two states fare under two weights, one step with an input, and the answer."""
    print("W_ss   s_0   s_1                  s_100")
    for W_ss in (1.0, 2.0):
        for s_0 in (0.9, 0.1):
            print(f"{W_ss:<6} {s_0:<5} {after(1, W_ss, s_0):<20} {after(100, W_ss, s_0)}")

    cell = RNN(input_size=1, hidden_size=1, bias=False)
    cell.load_by_gate({"W_hh": [[-0.4]], "W_hx": [[0.7]]})
    _, s_1 = unroll(cell, [[[0.3]]], Tensor([[0.9]]))
    print(f"one step with W_ss = −0.4, W_sx = 0.7, x_1 = 0.3, s_0 = 0.9: s_1 = tanh(−0.15) = {s_1.item()}")

    print(
        f"Answer: no. 0.9 has become {after(1, 1.0, 0.9):.4f} after one step and {after(100, 1.0, 0.9):.4f} after a "
        f"hundred; with W_ss = 2 it ends at {after(100, 2.0, 0.9):.4f}, and so does 0.1."
    )

    hs, _ = unroll(RNN(input_size=2, hidden_size=3, bias=False, seed=0), np.ones((5, 1, 2)))
    draw(hs[4].sum(), title="Simple RNN: every step overwrites the state").save(folder / "c1_simple_rnn.svg")


if __name__ == "__main__":
    main(output_folder())
