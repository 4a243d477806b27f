"""Γ_u = 1 in the course means "all new". What does z = 1 mean in torch, Keras and ONNX?

    C3:                 h_t = Γ_u ⊙ c̃ + (1 − Γ_u) ⊙ h_{t−1}
    torch, Keras, ONNX: h_t = (1 − z) ⊙ c̃ + z ⊙ h_{t−1}

So z = 1 − Γ_u, "all old". Since 1 − σ(a) = σ(−a), weights and bias of that gate change sign from one to the other. The
second line is written out in NumPy below and given the weights of the library's GRU, as they are and with the sign changed.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder, row
from minigrad.models import GRU, unroll
from minigrad.viz import draw

from minigrad import Tensor


def sigma(a: np.ndarray) -> np.ndarray:
    """σ(a) = 1 / (1 + e^−a)."""
    return np.asarray(1 / (1 + np.exp(-a)))


def step_with_z(w: dict[str, np.ndarray], x: np.ndarray, h: np.ndarray) -> np.ndarray:
    """One step as torch, Keras and ONNX write it (with the reset before the product)."""
    z = sigma(h @ w["W_zh"].T + x @ w["W_zx"].T + w["b_z"])
    r = sigma(h @ w["W_rh"].T + x @ w["W_rx"].T + w["b_r"])
    c = np.tanh((r * h) @ w["W_ch"].T + x @ w["W_cx"].T + w["b_c"])
    return np.asarray((1 - z) * c + z * h)


def main(folder: Path) -> None:
    """Print one step of the library's GRU and of the other convention with weights carried over in two ways."""
    D, H = 3, 4
    rng = np.random.default_rng(0)
    cell = GRU(D, H, seed=1)
    x, h = rng.normal(size=(1, D)), rng.normal(size=(1, H))
    hs, h_1 = unroll(cell, x[None], Tensor(h))
    w = cell.by_gate()
    as_they_are = w | {"W_zh": w["W_uh"], "W_zx": w["W_ux"], "b_z": w["b_u"]}
    sign_changed = w | {"W_zh": -w["W_uh"], "W_zx": -w["W_ux"], "b_z": -w["b_u"]}

    print(f"the library, Γ_u:           {row(h_1.numpy())}")
    print(f"z, weights as they are:     {row(step_with_z(as_they_are, x, h))}")
    print(f"z, sign changed:            {row(step_with_z(sign_changed, x, h))}")
    wrong = float(np.abs(step_with_z(as_they_are, x, h) - h_1.numpy()).max())
    right = float(np.abs(step_with_z(sign_changed, x, h) - h_1.numpy()).max())

    print(
        f"Answer: the opposite, all old: z = 1 − Γ_u. Weights carried over as they are put h off by {wrong:.2f}; with the "
        f"sign of that gate changed both agree to 13 digits ({right < 1e-13})."
    )

    draw(hs.sum(), title="The update gate multiplies the candidate").save(folder / "trap_update_gate.svg")


if __name__ == "__main__":
    main(output_folder())
