"""Is W_h [h_{t−1}, x_t] the same as W_hh h_{t−1} + W_hx x_t?

    h_t = g(W_h [h_{t−1}, x_t] + b_h)                  one matrix, state and input one below the other (C4)
    h_t = g(W_hh h_{t−1} + W_hx x_t + b_h)             two matrices

with W_h = [W_hh, W_hx] side by side, H × (H + D): a row of W_h times [h, x] is a row of W_hh times h plus a row of W_hx
times x. The library has both forms; values and gradients are compared over several steps.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import RNN, unroll
from minigrad.viz import draw

from minigrad import Tensor


def main(folder: Path) -> None:
    """Print the largest difference between the two forms in every value and every gradient."""
    T, B, D, H = 6, 2, 3, 4
    xs = np.random.default_rng(0).normal(size=(T, B, D))
    split, joined = RNN(D, H, seed=1), RNN(D, H, form="concatenated")
    joined.load_by_gate(split.by_gate())
    print(f"W_hh {split.W_hh.shape}, W_hx {split.W_hx.shape}; W_h {joined.W_h.shape}")
    side_by_side = np.hstack([split.W_hh.numpy(), split.W_hx.numpy()])
    print(f"W_h is [W_hh, W_hx] to the bit: {np.array_equal(joined.W_h.numpy(), side_by_side)}")

    hs_split, _ = unroll(split, xs)
    hs_joined, _ = unroll(joined, xs)
    (hs_split**2).sum().backward()
    (hs_joined**2).sum().backward()
    differences = {"h_1 … h_6": float(np.abs(hs_split.numpy() - hs_joined.numpy()).max())}
    by_split, by_joined = split.by_gate(grad=True), joined.by_gate(grad=True)
    for name in ("W_hh", "W_hx", "b_h"):
        differences[f"∂L/∂{name}"] = float(np.abs(by_split[name] - by_joined[name]).max())
    for what, difference in differences.items():
        print(f"{what:<10} largest difference {difference:.1e}")

    reversed_order = RNN(D, H, form="concatenated")
    reversed_order.W_h.data = np.hstack([split.W_hx.numpy(), split.W_hh.numpy()])
    reversed_order.load_by_gate(reversed_order.by_gate() | {"b_h": split.by_gate()["b_h"]})
    wrong = float(np.abs(unroll(reversed_order, xs)[0].numpy() - hs_split.numpy()).max())
    print(f"with [W_hx, W_hh] instead: largest difference {wrong}")

    print(
        f"Answer: {'yes' if max(differences.values()) < 1e-13 else 'no'}, to 13 digits in every state and gradient, if W_h is "
        f"[W_hh, W_hx]; the other way round the states are off by {wrong:.2f}."
    )

    hs, _ = unroll(joined, xs[:3], Tensor(np.zeros((B, H)), requires_grad=True))
    draw(hs[2].sum(), title="One matrix for state and input").save(folder / "c4_two_forms.svg")


if __name__ == "__main__":
    main(output_folder())
