"""The output bias b_y is used at every step: what is ∂L/∂b_y?

    ŷ_t = softmax(z_t),  z_t = U h_t + b_y,  L = Σ_t L_t,  L_t = −log ŷ_t[y_t]          (C5)

    ∂L/∂b_y = Σ_t ∂L_t/∂ŷ_t · ∂ŷ_t/∂b_y

The three factors are built as matrices: ∂L_t/∂ŷ_t is −1/ŷ_t[y_t] at y_t and 0 elsewhere, and, since ∂z_t/∂b_y is the
identity, ∂ŷ_t/∂b_y = diag(ŷ_t) − ŷ_t ŷ_tᵀ. Their products are added up and compared with autograd.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder, row
from minigrad.models import RNN, Head, unroll
from minigrad.viz import draw

from minigrad import cross_entropy, grad, no_grad, softmax


def main(folder: Path) -> None:
    """Print the sum, its terms, and autograd's gradient."""
    T, D, H, N = 4, 2, 3, 5
    rng = np.random.default_rng(0)
    xs, targets = rng.normal(size=(T, 1, D)), rng.integers(N, size=(T, 1))
    cell, head = RNN(D, H, seed=1), Head(H, N, seed=2)

    hs, _ = unroll(cell, xs)
    loss = cross_entropy(head(hs), targets, reduction="sum").named("L")
    (by_autograd,) = grad(loss, head.b_y, retain_graph=True)
    autograd = by_autograd.numpy()

    with no_grad():
        predicted = softmax(head(hs), axis=-1).numpy()[:, 0]
    total = np.zeros(N)
    for t in range(1, T + 1):
        y, right = predicted[t - 1], targets[t - 1, 0]
        dL_dy = np.where(np.arange(N) == right, -1 / y[right], 0.0)
        dy_db = np.diag(y) - np.outer(y, y)
        print(f"t = {t}: ∂L_{t}/∂ŷ_{t} · ∂ŷ_{t}/∂b_y = {row(dL_dy @ dy_db)}")
        total += dL_dy @ dy_db
    print(f"sum over t                  = {row(total)}")
    print(f"autograd's ∂L/∂b_y          = {row(autograd)}")

    off = float(np.abs(total - autograd).max())
    last_only = float(np.abs(dL_dy @ dy_db - autograd).max())
    print(
        f"Answer: the sum over all steps of ∂L_t/∂ŷ_t · ∂ŷ_t/∂b_y, with no product over steps: equal to 13 digits "
        f"({off < 1e-13}). The last step alone is off by {last_only:.2f}."
    )

    draw(loss, title="The output bias is used at every step: its gradient is a sum").save(folder / "c5_output_bias.svg")


if __name__ == "__main__":
    main(output_folder())
