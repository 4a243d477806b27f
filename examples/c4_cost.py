"""Over what is the cost of an RNN averaged?

    J = −1/T Σ_t Σ_n y_t[n] log ŷ_t[n]          for one example (C4), and the mean over the B examples of a batch

The library's number is compared with that sum written out, and with three that divide by something else.
"""

from math import exp, log
from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import RNN, Head, unroll
from minigrad.viz import draw


def surprise(logits: np.ndarray, target: int) -> float:
    """−Σ_n y[n] log ŷ[n] with y one-hot: only the right symbol's term is left."""
    return -log(exp(logits[target]) / sum(exp(z) for z in logits))


def main(folder: Path) -> None:
    """Print the cost as the library computes it and as the double sum."""
    T, B, D, H, N = 5, 3, 2, 4, 7
    rng = np.random.default_rng(0)
    xs, targets = rng.normal(size=(T, B, D)), rng.integers(N, size=(T, B))
    cell, head = RNN(D, H, seed=1), Head(H, N, seed=2)
    hs, _ = unroll(cell, xs)
    cost = head.loss(hs, targets)
    print(f"the library: {cost.item()}")

    logits = head(hs).numpy()
    each = np.array([[surprise(logits[t, b], targets[t, b]) for b in range(B)] for t in range(T)])
    total = float(each.sum())
    divided = {"T · B": total / (T * B), "T": total / T, "B": total / B, "T · B · N": total / (T * B * N)}
    for by, value in divided.items():
        print(f"sum of {each.size} terms divided by {by:<9} = {value}")

    same = [by for by, value in divided.items() if abs(value - cost.item()) < 1e-12]
    print(
        f"Answer: over the {T} steps and the {B} examples: the sum of all −log ŷ_t[y_t], divided by {' and '.join(same)}, "
        f"is {cost.item():.12f}."
    )

    draw(cost, title="Cross-entropy, averaged over steps and batch").save(folder / "c4_cost.svg")


if __name__ == "__main__":
    main(output_folder())
