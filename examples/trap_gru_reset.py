"""Two GRUs with the same weights, one resetting before and one after the matrix product: do they compute the same?

    before:  c̃ = tanh(W_ch (r ⊙ h) + W_cx x + b_c)               C3, D2L, Keras reset_after=False, ONNX by default
    after:   c̃ = tanh(W_cx x + b_c + r ⊙ (W_ch h + b_ch))        torch, cuDNN, Keras by default

The reset is between h and W_ch, or behind both. A matrix does not commute with an element-wise product, so these are two
functions, unless r is the same number in all entries. Here b_ch = 0, so that the order is the only difference.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder, row
from minigrad.models import GRU, unroll
from minigrad.viz import draw

from minigrad import Tensor


def main(folder: Path) -> None:
    """Print one step by both for one example, how far apart they are over 500, and with a reset gate equal everywhere."""
    B, D, H = 500, 3, 4
    rng = np.random.default_rng(0)
    before, after = GRU(D, H), GRU(D, H, reset="after")
    weights = {name: rng.normal(size=value.shape) for name, value in before.by_gate().items()}
    x, start = rng.normal(size=(1, B, D)), Tensor(rng.normal(size=(B, H)))

    def one_step(weights: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """h_1 (B, H) by both."""
        before.load_by_gate(weights)
        after.load_by_gate(weights | {"b_ch": np.zeros(H)})
        return unroll(before, x, start)[1].numpy(), unroll(after, x, start)[1].numpy()

    by_before, by_after = one_step(weights)
    print(f"h_1 by before, first example  {row(by_before[0])}")
    print(f"h_1 by after,  first example  {row(by_after[0])}")
    apart = np.abs(by_before - by_after).max(axis=1)
    print(f"largest difference in h_1: {apart.mean()} on average over {B} examples, at most {apart.max()}")

    by_before, by_after = one_step(weights | {"W_rh": np.zeros((H, H)), "W_rx": np.zeros((H, D)), "b_r": np.full(H, 0.3)})
    print(f"with r = σ(0.3) in every entry: at most {np.abs(by_before - by_after).max():.1e}")

    print(
        f"Answer: no. With equal weights h_1 differs by {apart.mean():.2f} on average and up to {apart.max():.2f}; say which "
        f'one you mean: GRU(…, reset="before") or GRU(…, reset="after").'
    )

    for cell, when in ((before, "before"), (after, "after")):
        _, h_2 = unroll(cell, x[[0, 0], :1], start[:1])
        draw(h_2.sum(), title=f"Reset {when} the product").save(folder / f"trap_gru_reset_{when}.svg")


if __name__ == "__main__":
    main(output_folder())
