"""[h, x] or [x, h]: what happens when weights made for one order meet the other?

    W_h [h_{t−1}, x_t],  W_h = [W_hh, W_hx]          C3 and C4: the state first

Both orders have H + D entries, so no shape is ever wrong and nothing complains, whether D = H or not.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder, row
from minigrad.models import RNN, unroll
from minigrad.viz import draw

from minigrad import Tensor, concatenate, tanh


def main(folder: Path) -> None:
    """Print one step with the matrix as it is, with the operands exchanged, and with the columns moved too."""
    D, H = 3, 4
    rng = np.random.default_rng(0)
    cell = RNN(D, H, form="concatenated", seed=1)
    h, x = Tensor(rng.normal(size=(1, H)), name="h"), Tensor(rng.normal(size=(1, D)), name="x")
    state_first = cell.step(x, h)

    input_first = tanh(concatenate([x, h], axis=-1) @ cell.W_h.T + cell.b_h)
    columns_moved = np.hstack([cell.W_h.numpy()[:, H:], cell.W_h.numpy()[:, :H]])
    moved_too = tanh(concatenate([x, h], axis=-1) @ columns_moved.T + cell.b_h)
    print(f"W_h [h, x]                     {row(state_first.numpy())}")
    print(f"W_h [x, h]: shapes fit, wrong  {row(input_first.numpy())}")
    print(f"columns of W_h moved as well   {row(moved_too.numpy())}")

    wrong = float(np.abs(input_first.numpy() - state_first.numpy()).max())
    right = float(np.abs(moved_too.numpy() - state_first.numpy()).max())
    print(
        f"Answer: no error and a wrong state, off by {wrong:.2f}. The state comes first; for the other order move the first "
        f"H columns of W_h to the end (equal to 13 digits: {right < 1e-13})."
    )

    _, h_3 = unroll(cell, rng.normal(size=(3, 1, D)), Tensor(h.numpy(), requires_grad=True))
    draw(h_3.sum(), title="The state first").save(folder / "trap_concatenation_order.svg")


if __name__ == "__main__":
    main(output_folder())
