"""torch gives every gate two biases, one with the input and one with the state. Is the second one of any use?

    σ(W_x x + b_x + W_h h + b_h)                             both are added to the same sum: only b_x + b_h counts
    c̃ = tanh(W_cx x + b_c + r ⊙ (W_ch h + b_ch))             reset after the product: b_ch is multiplied by r, b_c is not

Half of one bias is moved to the other, and the states are compared. An LSTM gate stands for all gates of the first kind;
the library has one b there, so b_x enters through an input that is always 1.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import GRU, LSTM, unroll
from minigrad.viz import draw

from minigrad import Tensor


def main(folder: Path) -> None:
    """Print how far states move when half a bias is moved, for an LSTM and for the candidate of the reset-after GRU."""
    T, D, H = 10, 3, 4
    rng = np.random.default_rng(0)
    xs = rng.normal(size=(T, 1, D))
    xs_and_1 = np.concatenate([xs, np.ones((T, 1, 1))], axis=2)

    lstm = LSTM(D + 1, H, seed=1)
    before, _ = unroll(lstm, xs_and_1)
    w = lstm.by_gate()
    for gate in "ifgo":
        w[f"W_{gate}x"][:, D] += w[f"b_{gate}"] / 2                       # the column that meets the 1 is the other bias
        w[f"b_{gate}"] /= 2
    lstm.load_by_gate(w)
    after, _ = unroll(lstm, xs_and_1)
    (after**2).sum().backward()
    in_lstm = float(np.abs(after.numpy() - before.numpy()).max())
    g = lstm.by_gate(grad=True)
    gradients = max(float(np.abs(g[f"b_{gate}"] - g[f"W_{gate}x"][:, D]).max()) for gate in "ifgo")
    print(f"LSTM, half of every bias moved to the other bias: states move by {in_lstm:.1e}")
    print(f"LSTM, gradients of the two biases differ by {gradients:.1e}: they learn the same thing")

    gru = GRU(D, H, reset="after", seed=1)
    w = gru.by_gate()
    before, _ = unroll(gru, xs)
    gru.load_by_gate(w | {"b_c": w["b_c"] / 2, "b_ch": w["b_ch"] + w["b_c"] / 2})
    after, _ = unroll(gru, xs)
    in_gru = float(np.abs(after.numpy() - before.numpy()).max())
    print(f"GRU reset after, half of b_c moved to b_ch:       states move by {in_gru:.15f}")

    print(
        f"Answer: only in the candidate of a GRU that resets after the product, where moving half of b_c to b_ch moves the "
        f"states by {in_gru:.3f}. Everywhere else only the sum counts (equal to 13 digits: {in_lstm < 1e-13})."
    )

    h_0 = Tensor(np.zeros((1, H)))
    picture = draw(unroll(gru, xs[:2], h_0)[1].sum(), title="Reset after the product: r multiplies a bias too")
    picture.save(folder / "trap_biases.svg")


if __name__ == "__main__":
    main(output_folder())
