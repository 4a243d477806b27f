"""Can the loop over time be one function, the same for every cell?

    scan(f, init, xs):  state_t, y_t = f(state_{t−1}, x_t)  for t = 1 … T          (C4)

f is one step: it takes a state and an input and returns the new state and an output. The state may be one tensor (RNN,
GRU), two (LSTM) or anything nested. scan is compared with unroll for every cell, and then used for something that is no
network at all.
"""

from pathlib import Path
from typing import Any

import numpy as np
from lesson import output_folder
from minigrad.models import CELLS, make_cell, unroll
from minigrad.viz import draw

from minigrad import Tensor, scan


def main(folder: Path) -> None:
    """Print the largest difference between scan and unroll for each cell, and a running mean."""
    T, B, D, H = 7, 2, 3, 4
    xs = np.random.default_rng(0).normal(size=(T, B, D))
    differences = []
    for name in CELLS:
        cell = make_cell(name, D, H, seed=1)

        def step(state: Any, x: Tensor, cell: Any = cell) -> tuple[Any, Tensor]:
            new = cell.step(x, state)
            return new, new[-1] if isinstance(new, tuple) else new

        gradients = []
        hs_unrolled, _ = unroll(cell, xs)
        _, hs_scanned = scan(step, cell.initial_state(B), xs)
        for hs in (hs_unrolled, hs_scanned):
            cell.zero_grad()
            (hs**2).sum().backward()
            gradients.append(cell.by_gate(grad=True))
        values = float(np.abs(hs_unrolled.numpy() - hs_scanned.numpy()).max())
        slopes = max(float(np.abs(gradients[0][key] - gradients[1][key]).max()) for key in gradients[0])
        differences += [values, slopes]
        print(f"{name:<10} scan and unroll: states differ by {values:.1e}, gradients by {slopes:.1e}")

    def running_mean(state: tuple[Tensor, Tensor], x: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        count, total = state
        count, total = count + 1.0, total + x
        return (count, total), total / count

    numbers = Tensor([2.0, 4.0, 9.0, 1.0], requires_grad=True, name="x")
    (count, total), means = scan(running_mean, (Tensor(0.0), Tensor(0.0)), numbers)
    print(f"running mean of {numbers.tolist()}: {means.tolist()}, last state {count.item()}, {total.item()}")

    print(f"Answer: yes: scan repeats unroll for {', '.join(CELLS)}, values and gradients ({max(differences) < 1e-13}).")

    draw(means[3], title="A running mean, by scan").save(folder / "c4_scan.svg")


if __name__ == "__main__":
    main(output_folder())
