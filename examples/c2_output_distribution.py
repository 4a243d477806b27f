"""Who makes the prediction of a recurrent network: softmax, the output matrix or the state?

    p_t = softmax(W_o s_t)          (C2; here W_yh, and b_y = 0)

Three parts, three jobs, tried one at a time: take softmax away, change W_o, change what came before x_t.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder, row
from minigrad.models import RNN, Head, unroll
from minigrad.viz import draw

from minigrad import softmax


def main(folder: Path) -> None:
    """Print logits, distributions, and what changes when one part changes."""
    cell, head = RNN(input_size=2, hidden_size=3, bias=False, seed=0), Head(hidden_size=3, output_size=4, seed=1)
    head.b_y.data = np.zeros(4)
    xs = np.random.default_rng(2).normal(size=(5, 1, 2))
    hs, _ = unroll(cell, xs)
    logits = head(hs)[4, 0]
    p = softmax(logits).named("p")
    print(f"W_o s_5            = {row(logits.numpy())}   sum {logits.numpy().sum()}, smallest {logits.numpy().min()}")
    print(f"softmax(W_o s_5)   = {row(p.numpy())}   sum {p.numpy().sum()}, smallest {p.numpy().min()}")

    other_past = xs.copy()
    other_past[:4] *= -1.0
    other_hs, _ = unroll(cell, other_past)
    moved = softmax(head(other_hs)[4, 0]).numpy()
    print(f"same x_5, another x_1 … x_4: {row(moved)}")
    history = float(np.abs(moved - p.numpy()).max())

    head.W_yh.data = head.W_yh.numpy()[[1, 0, 2, 3]]
    swapped = softmax(head(hs)[4, 0]).numpy()
    print(f"rows 0 and 1 of W_o exchanged: {row(swapped)}")

    print(
        f"Answer: softmax makes a distribution (sum {p.numpy().sum():.12f}, smallest entry {p.numpy().min():.4f}; the logits "
        f"had {logits.numpy().min():.4f}); row n of W_o says what of the state speaks for class n; s_t holds the history "
        f"(the same x_5 after another past moves p by {history:.3f})."
    )

    draw(p[0], title="The state, the output matrix, softmax").save(folder / "c2_output_distribution.svg")


if __name__ == "__main__":
    main(output_folder())
