"""What is ∂L/∂b_h, and which of five formulas did you hand in?

    h_t = tanh(V x_t + W h_{t−1} + b_h),  ŷ_t = softmax(U h_t + b_y),  L = Σ_t L_t          (C5)

    ∂L/∂b_h = Σ_t ∂L_t/∂ŷ_t · ∂ŷ_t/∂h_t · Σ_{k≤t} ( Π_{i=k+1..t} ∂h_i/∂h_{i−1} ) · ∂h_k/∂b_h

b_h enters at every step k and reaches every later L_t, through all the states between: a sum over t, a sum over k, and a
product of Jacobians. It is written out here beside the quiz's four other answers, each of which leaves something away.
∂h_k/∂b_h means the use of b_h at step k alone, h_{k−1} held fixed. Since the five numbers differ, a gradient that was handed
in says by itself which formula made it: ``explain`` has the terms of any recurrence, and recognises it.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder, row
from minigrad.models import RNN, Head, unroll
from minigrad.viz import draw

from minigrad import cross_entropy, explain, no_grad, softmax

T, D, H, N = 5, 2, 3, 4


def main(folder: Path) -> None:
    """Print the five formulas and their distance from autograd."""
    rng = np.random.default_rng(0)
    xs, targets = rng.normal(size=(T, 1, D)), rng.integers(N, size=(T, 1))
    cell, head = RNN(D, H, seed=1), Head(H, N, seed=2)
    W, U = cell.W_hh.numpy(), head.W_yh.numpy()

    hs, _ = unroll(cell, xs)
    loss = cross_entropy(head(hs), targets, reduction="sum").named("L")
    loss.backward(retain_graph=True)
    autograd = cell.by_gate(grad=True)["b_h"]

    h = dict(enumerate(hs.numpy()[:, 0], start=1))                       # h_1 … h_T
    with no_grad():
        y = dict(enumerate(softmax(head(hs), axis=-1).numpy()[:, 0], start=1))
    right = dict(enumerate(targets[:, 0], start=1))

    def dL_dh(t: int) -> np.ndarray:
        """∂L_t/∂ŷ_t · ∂ŷ_t/∂h_t, a row of H entries."""
        dL_dy = np.where(np.arange(N) == right[t], -1 / y[t][right[t]], 0.0)
        return np.asarray(dL_dy @ (np.diag(y[t]) - np.outer(y[t], y[t])) @ U)

    def jacobians(k: int, t: int) -> np.ndarray:
        """Π_{i=k+1..t} ∂h_i/∂h_{i−1}, the latest step on the left."""
        product = np.eye(H)
        for i in range(k + 1, t + 1):
            product = np.diag(1 - h[i] ** 2) @ W @ product
        return product

    def dh_db(k: int) -> np.ndarray:
        """∂h_k/∂b_h of step k alone."""
        return np.diag(1 - h[k] ** 2)

    steps = range(1, T + 1)
    answers = {
        "the double sum with the product": sum(dL_dh(t) @ jacobians(k, t) @ dh_db(k) for t in steps for k in range(1, t + 1)),
        "one step only, t = T": dL_dh(T) @ dh_db(T),
        "k = t only, no product": sum(dL_dh(t) @ dh_db(t) for t in steps),
        "the sum without the product": sum(dL_dh(t) @ dh_db(k) for t in steps for k in range(1, t + 1)),
        "the first step only (k = 0 there)": sum(dL_dh(t) @ jacobians(1, t) @ dh_db(1) for t in steps),
    }
    print(f"{'autograd':<35}{row(autograd)}")
    off = {}
    for answer, value in answers.items():
        off[answer] = float(np.abs(value - autograd).max() / np.abs(autograd).max())
        print(f"{answer:<35}{row(value)}   off by {off[answer]:.1e} of the largest")
    agrees = [answer for answer, distance in off.items() if distance < 1e-12]

    explanation = explain(loss, "b_h", cell)
    print(f"\n{explanation}\n")
    cell.zero_grad()
    cut, _ = unroll(cell, xs, truncated=1)                               # a learner's program detaches the state at every step
    cross_entropy(head(cut), targets, reduction="sum").backward()
    handed_in = cell.by_gate(grad=True)["b_h"]
    named = ", ".join(explanation.recognise(handed_in))
    print(f"handed in by a program that detaches the state at every step: {row(handed_in)}   this is: {named}")

    wrong = [f"{answer}: {distance:.0%}" for answer, distance in off.items() if answer not in agrees]
    print(f"Answer: {', '.join(agrees)}. Off are: {'; '.join(wrong)}.")

    draw(loss, title="Every way from the hidden bias to the loss").save(folder / "c5_hidden_bias.svg")


if __name__ == "__main__":
    main(output_folder())
