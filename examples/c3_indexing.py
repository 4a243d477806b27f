"""Where in the arrays is x^(i)<t>, step t of example i?

Arrays are time-major and steps are numbered from 1 (C3 numbers examples from 1 too):

    x^(i)<t> is xs[t − 1, i − 1], a vector of D entries          xs is (T, B, D)
    a^(i)<t> is hs[t − 1, i − 1], a vector of H entries          hs is (T, B, H)

The network itself shows which axis is which: the state of example i at step t depends on the inputs of example i at the
steps up to t, and on nothing else.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import RNN, unroll
from minigrad.viz import draw

from minigrad import Tensor, grad


def main(folder: Path) -> None:
    """Print what a^(2)<3> depends on, example by step."""
    T, B, D, H = 5, 3, 2, 4
    xs = Tensor(np.random.default_rng(0).normal(size=(T, B, D)), requires_grad=True)
    hs, _ = unroll(RNN(D, H, seed=1), xs)
    print(f"xs {xs.shape} is (T, B, D), hs {hs.shape} is (T, B, H)")

    i, t = 2, 3
    (g,) = grad(hs[t - 1, i - 1].sum(), xs)
    sizes = np.abs(g.numpy()).sum(axis=2)
    print(f"|∂a^({i})<{t}>/∂x^(j)<k>|" + "".join(f"{f'k = {k}':>18}" for k in range(1, T + 1)))
    for j in range(1, B + 1):
        print(f"j = {j}               " + "".join(f"{sizes[k - 1, j - 1]:>18.15f}" for k in range(1, T + 1)))

    depends_on = [(j, k) for j in range(1, B + 1) for k in range(1, T + 1) if sizes[k - 1, j - 1] > 0]
    print(
        f"Answer: x^(i)<t> is xs[t − 1, i − 1]. a^({i})<{t}> depends on (example, step) "
        f"{', '.join(map(str, depends_on))} and on no other."
    )

    hs, _ = unroll(RNN(D, H, seed=1), xs)
    draw(hs[t - 1, i - 1].sum(), title="What the state of example 2 at step 3 depends on").save(folder / "c3_indexing.svg")


if __name__ == "__main__":
    main(output_folder())
