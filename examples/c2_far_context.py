"""True or false: "the hidden state at step t only contains information about words close to t"?

Whether s_t knows x_k is ∂s_t/∂x_k: zero would mean that no change of x_k, however far back, moves s_t. Here t = 60, and
the norm of that H × D matrix is shown against the distance t − k. A change of x_1 is then really made, and s_60 moves.
"""

from pathlib import Path
from typing import Any

import numpy as np
from lesson import output_folder
from minigrad.models import GRU, LSTM, RNN, unroll
from minigrad.models.recurrent import Cell
from minigrad.viz import draw

from minigrad import Tensor, grad

T, D, H = 60, 2, 8
DISTANCES = (0, 1, 5, 10, 30, 59)


def influence(cell: Cell[Any], xs: np.ndarray) -> np.ndarray:
    """‖∂s_T/∂x_k‖ for k = 1 … T, the Frobenius norm of a matrix whose row i is the gradient of entry i of s_T."""
    inputs = Tensor(xs, requires_grad=True)
    hs, _ = unroll(cell, inputs)
    rows = [grad(hs[T - 1, 0, i], inputs, retain_graph=True)[0].numpy()[:, 0] for i in range(H)]
    return np.asarray(np.sqrt((np.array(rows) ** 2).sum(axis=(0, 2))))


def moved(cell: Cell[Any], xs: np.ndarray) -> float:
    """How far s_T moves when 1 is added to every entry of x_1."""
    changed = xs.copy()
    changed[0] += 1.0
    return float(np.abs(unroll(cell, changed)[0].numpy()[-1] - unroll(cell, xs)[0].numpy()[-1]).max())


def main(folder: Path) -> None:
    """Print ‖∂s_60/∂x_k‖ against the distance for four networks, and what a change of x_1 does to s_60."""
    xs = np.random.default_rng(0).normal(size=(T, 1, D))
    cells: dict[str, Cell[Any]] = {
        "RNN": RNN(D, H, seed=1),
        "GRU": GRU(D, H, seed=1),
        "LSTM": LSTM(D, H, seed=1),
        "LSTM, b_f = 6": LSTM(D, H, forget_bias=6.0, seed=1),
    }

    print("‖∂s_60/∂x_k‖ at distance " + "".join(f"{distance:>14}" for distance in DISTANCES) + "   s_60 moves with x_1 by")
    at_59 = {}
    for name, cell in cells.items():
        norms = influence(cell, xs)[::-1]
        at_59[name] = norms[59]
        print(f"{name:<25}" + "".join(f"{norms[d]:>14.7e}" for d in DISTANCES) + f"   {moved(cell, xs):.7e}")

    print(
        f"Answer: false. Over 59 steps the influence is never 0: {at_59['RNN']:.0e} in an RNN, and "
        f"{at_59['LSTM, b_f = 6']:.2f} in an LSTM whose forget gates are open. It fades in some networks; it need not."
    )

    hs, _ = unroll(cells["LSTM, b_f = 6"], xs[:8])
    draw(hs[7].sum(), title="Open forget gates: the way back from step 8 to step 1").save(folder / "c2_far_context.svg")


if __name__ == "__main__":
    main(output_folder())
