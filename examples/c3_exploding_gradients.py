"""After two updates every weight is NaN: what happened, where did it begin, and what helps?

    h_t = relu(W_hh h_{t−1} + W_hx x_t + b_h)          T = 50 steps, W_hh = 1.1 times the identity (C3)

Going back one step, a gradient is multiplied by W_hh wherever relu has slope 1; after 50 steps by up to 1.1⁵⁰ = 117. An
update along so large a gradient makes W_hh large, and at the next update the states themselves explode. The network is to
predict the sum of its inputs. It is trained twice from the same start, without and with clipping.
"""

import math
from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import RNN, Head
from minigrad.viz import draw

from minigrad import Tensor, detect_anomaly, grad, mse_loss, time_step
from minigrad.errors import AnomalyError, NonFiniteGradientError
from minigrad.optim import SGD, clip_grad_norm_

T, B, H = 50, 16, 8
XS = np.random.default_rng(0).normal(size=(T, B, 1))
TARGETS = XS.sum(axis=0) / math.sqrt(T)


def network() -> tuple[RNN, Head, SGD]:
    """The same start every time."""
    cell, head = RNN(1, H, nonlinearity="relu", seed=0), Head(H, 1, seed=1)
    cell.load_by_gate(cell.by_gate() | {"W_hh": 1.1 * np.eye(H)})
    return cell, head, SGD(cell.parameters() + head.parameters(), lr=0.05)


def forward(cell: RNN, head: Head, steps: int = T) -> tuple[list[Tensor], Tensor]:
    """The states h_0 … h_T and the loss."""
    with time_step(0):
        hs = [Tensor(np.zeros((B, H)), requires_grad=True, name="h")]
    for t in range(1, steps + 1):
        with time_step(t):
            hs.append(cell.step(Tensor(XS[t - 1], name="x"), hs[-1]))
    return hs, mse_loss(head(hs[-1]), TARGETS)


def train(max_norm: float, updates: int) -> list[float]:
    """The loss before every update; it ends early when gradients are no longer finite."""
    cell, head, optimizer = network()
    losses = []
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(updates):
            optimizer.zero_grad()
            _, loss = forward(cell, head)
            loss.backward()
            losses.append(loss.item())
            try:
                clip_grad_norm_(optimizer.parameters, max_norm)
            except NonFiniteGradientError as error:
                print(f"update {len(losses)}: {error}")
                break
            optimizer.step()
    return losses


def main(folder: Path) -> None:
    """Print how the gradient grows going back, the losses without and with clipping, and where the first NaN was made."""
    cell, head, optimizer = network()
    hs, loss = forward(cell, head)
    norms = [float(np.sqrt((g.numpy() ** 2).sum())) for g in grad(loss, hs, retain_graph=True)]
    print("t            " + "".join(f"{t:>15}" for t in (50, 40, 30, 20, 10, 0)))
    print("‖∂L/∂h_t‖    " + "".join(f"{norms[t]:>15.9f}" for t in (50, 40, 30, 20, 10, 0)))

    unclipped = train(max_norm=math.inf, updates=200)
    print(f"without clipping the loss is {', '.join(map(str, unclipped))}")

    loss.backward()
    optimizer.step()
    try:
        with detect_anomaly():
            forward(cell, head)[1].backward()
    except AnomalyError as error:
        print(f"where it began: {error}")

    clipped = train(max_norm=1.0, updates=200)
    print(f"with clipping to norm 1 the loss is {clipped[0]}, {clipped[1]}, … {clipped[10]} (update 11), … {clipped[-1]:.2f}")

    print(
        f"Answer: gradients exploded: ‖∂L/∂h_t‖ is {norms[50]:.0f} at t = 50 and {norms[0]:.0f} at t = 0, and after one update "
        f"with it the loss is {unclipped[1]:.0e}. detect_anomaly says where it began; with clip_grad_norm_ the loss falls "
        f"below 1 ({clipped[-1] < 1})."
    )

    cell, head, _ = network()
    hs, _ = forward(cell, head, steps=15)
    draw(hs[15].sum(), title="Going back, the gradient grows").save(folder / "c3_exploding_gradients.svg")


if __name__ == "__main__":
    main(output_folder())
