"""What happens to an entry of the state whose gate is 0, and to one whose gate is 1?

    g_t = σ(W_gs s_{t−1} + W_gx x_t)
    s_t = (1 − g_t) ⊙ s_{t−1} + g_t ⊙ s̃_t        s̃_t = tanh(W_ss s_{t−1} + W_sx x_t)        (C1)

Three units whose gates depend on the input alone: W_gx x_t = −1000, 0 and 1000 closes the first gate, leaves the second
half open and opens the third. In float64 σ(−1000) is 0 and σ(1000) is 1, not nearly but exactly.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import GatedRNN, unroll
from minigrad.viz import draw

from minigrad import Tensor, grad


def main(folder: Path) -> None:
    """Print one step entry by entry, the state after a thousand steps, and the gradient through them."""
    rng = np.random.default_rng(0)
    cell = GatedRNN(input_size=1, hidden_size=3)
    cell.load_by_gate(
        {
            "W_gx": [[-1000.0], [0.0], [1000.0]],
            "W_gs": np.zeros((3, 3)),
            "W_sx": rng.normal(size=(3, 1)),
            "W_ss": rng.normal(size=(3, 3)),
        }
    )
    s_0 = Tensor([[1 / 3, 1 / 3, 1 / 3]], requires_grad=True)
    _, s_1 = unroll(cell, [[[1.0]]], s_0)
    candidate = np.tanh(s_0.numpy() @ cell.W_ss.numpy().T + cell.W_sx.numpy().T)

    print("gate   s_0                    candidate s̃_1           s_1                    s_1, every bit")
    for i, gate in enumerate((0.0, 0.5, 1.0)):
        old, new, now = s_0.numpy()[0, i], candidate[0, i], s_1.numpy()[0, i]
        print(f"{gate:<6} {old:<22} {new:<23} {now:<22} {now.hex()}")

    many = rng.uniform(1.0, 2.0, size=(1000, 1, 1))
    _, s_1000 = unroll(cell, many, s_0)
    (sent_back,) = grad(s_1000[0, 0], s_0)
    print(f"after 1000 steps: s[0] = {s_1000.numpy()[0, 0].hex()}, s_0[0] = {s_0.numpy()[0, 0].hex()}")
    print(f"∂s_1000[0]/∂s_0 = {sent_back.numpy()[0]}")

    copied = s_1000.numpy()[0, 0].tobytes() == s_0.numpy()[0, 0].tobytes()
    overwritten = s_1.numpy()[0, 2].tobytes() == candidate[0, 2].tobytes()
    print(
        f"Answer: gate 0 copies the old entry bit for bit, also 1000 times over ({copied}); gate 1 overwrites it with the "
        f"candidate bit for bit ({overwritten})."
    )

    draw(s_1.sum(), title="One gate: copy or overwrite").save(folder / "c1_gates.svg")


if __name__ == "__main__":
    main(output_folder())
