"""Which arrays of an RNN are trained, and how is a prediction made from the state?

    h_t = g(W_hh h_{t−1} + W_hx x_t + b_h)
    ŷ_t = g(W_yh h_t + b_y)          g = softmax here (C4)

Whatever gets a gradient from the cost can be trained. The network is drawn step by step: every step uses the same five
arrays, so each gets one gradient, added up over the steps.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import RNN, Head, unroll
from minigrad.viz import draw

from minigrad import grad, no_grad, softmax
from minigrad.optim import SGD


def main(folder: Path) -> None:
    """Print every trained array with its gradient, the prediction, and the cost before and after some updates."""
    T, B, D, H, N = 4, 2, 3, 5, 6
    rng = np.random.default_rng(0)
    xs, targets = rng.normal(size=(T, B, D)), rng.integers(N, size=(T, B))
    cell, head = RNN(D, H, seed=1), Head(H, N, seed=2)
    trained = dict(cell.named_parameters()) | dict(head.named_parameters())

    hs, _ = unroll(cell, xs)
    with no_grad():
        predicted = softmax(head(hs), axis=-1)
    print(f"ŷ is {predicted.shape}: (T, B, N); ŷ_1 of the first example = {predicted.numpy()[0, 0].round(4)}")

    gradients = grad(head.loss(hs, targets), list(trained.values()))
    for (name, parameter), g in zip(trained.items(), gradients, strict=True):
        print(f"{name:<5} {parameter.shape!s:<7} ‖∂L/∂{name}‖ = {np.linalg.norm(g.numpy()):.12f}")

    optimizer = SGD(trained.values(), lr=1.0)
    costs = []
    for _ in range(100):
        optimizer.zero_grad()
        cost = head.loss(unroll(cell, xs)[0], targets)
        cost.backward()
        optimizer.step()
        costs.append(cost.item())
    print(f"cost before {costs[0]:.12f}, after 100 updates {costs[-1]:.12f}")

    names = ", ".join(sorted(trained))
    print(f"Answer: {names}. All five get a gradient, and following it the cost falls from {costs[0]:.2f} to {costs[-1]:.2f}.")

    loss = head.loss(unroll(cell, xs)[0], targets)
    draw(loss, title="The unrolled RNN: five arrays, used at every step").save(folder / "c4_what_is_trained.svg")


if __name__ == "__main__":
    main(output_folder())
