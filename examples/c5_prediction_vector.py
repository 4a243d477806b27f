"""What kind of thing is ŷ_t: a symbol, a number, a vector?

    ŷ_t = f_y(U h_t + b_y),  f_y = softmax          (C5)

The network is to predict the next of N = 12 symbols. U h_t + b_y is printed beside ŷ_t, and then the same for an output
matrix ten times as large: the scores grow, ŷ_t keeps its range.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import RNN, Head, unroll
from minigrad.viz import draw

from minigrad import softmax


def main(folder: Path) -> None:
    """Print length, range and sum of U h_t + b_y and of ŷ_t, t = 1 … 3."""
    T, D, H, N = 3, 4, 5, 12
    xs = np.random.default_rng(0).normal(size=(T, 1, D))
    cell, head = RNN(D, H, seed=1), Head(H, N, seed=2)
    hs, _ = unroll(cell, xs)
    U = head.W_yh.numpy()
    smallest, largest = [], []
    for scale in (1.0, 10.0):
        head.W_yh.data = scale * U
        for t in range(1, T + 1):
            score = head(hs)[t - 1, 0]
            y = softmax(score).numpy()
            smallest.append(y.min())
            largest.append(y.max())
            print(f"{scale:>2.0f} U: scores h_{t} from {score.numpy().min():>7.2f} to {score.numpy().max():>6.2f}   "
                  f"ŷ_{t}: length {len(y)}, from {y.min():.9f} to {y.max():.9f}, sum {y.sum():.12f}")

    print(
        f"Answer: a vector of length N = {N} whose entries lie between 0 and 1 (here from {min(smallest):.6f} to "
        f"{max(largest):.6f}) and sum to 1."
    )

    head.W_yh.data = U
    picture = draw(softmax(head(hs), axis=-1)[T - 1, 0, 0], title="Scores of the state, and softmax")
    picture.save(folder / "c5_prediction_vector.svg")


if __name__ == "__main__":
    main(output_folder())
