"""What does the choice of g do to the hidden state, and to the gradient that goes back through it?

    h_t = g(W_hh h_{t−1} + W_hx x_t + b_h)          g = tanh or relu (C4)

tanh bounds every entry by 1, and its slope 1 − h² is below 1. relu lets positive numbers pass as they are, with slope 1:
nothing is bounded, and nothing is lost, as long as W_hh neither stretches nor shrinks. Three W_hh are tried.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from lesson import output_folder
from minigrad.models import RNN, unroll
from minigrad.viz import draw

from minigrad import Tensor, grad

T = 50


def after_50_steps(g: Literal["tanh", "relu"], w: float) -> tuple[float, float]:
    """h_50 and ∂h_50/∂h_0 of one unit with h_0 = 0.5 and no input."""
    cell = RNN(1, 1, nonlinearity=g, bias=False)
    cell.load_by_gate({"W_hh": [[w]], "W_hx": [[0.0]]})
    h_0 = Tensor([[0.5]], requires_grad=True)
    _, h_T = unroll(cell, np.zeros((T, 1, 1)), h_0)
    (slope,) = grad(h_T.sum(), h_0)
    return float(h_T.item()), float(slope.item())


def main(folder: Path) -> None:
    """Print state and gradient after fifty steps, and one step in numbers."""
    cell = RNN(1, 1, nonlinearity="relu")
    cell.load_by_gate({"W_hh": [[0.5]], "W_hx": [[-2.0]], "b_h": [0.1]})
    for x in (0.3, 0.1):
        h = unroll(cell, [[[x]]], Tensor([[0.4]]))[1].item()
        print(f"relu, h_0 = 0.4, x_1 = {x}: h_1 = max(0, 0.5 · 0.4 − 2 · {x} + 0.1) = {h}")

    found = {}
    gs: tuple[Literal["tanh", "relu"], ...] = ("tanh", "relu")
    for g in gs:
        for w in (0.9, 1.0, 1.1):
            found[g, w] = after_50_steps(g, w)
            print(f"{g}, W_hh = {w}: h_50 = {found[g, w][0]:<22} ∂h_50/∂h_0 = {found[g, w][1]}")

    print(
        f"Answer: tanh keeps h within (−1, 1) and shrinks the gradient even with W_hh = 1 (to {found['tanh', 1.0][1]:.4f} in "
        f"50 steps); relu keeps both exactly with W_hh = 1 and lets them explode beyond (1.1⁵⁰ = {found['relu', 1.1][1]:.1f})."
    )

    _, h_4 = unroll(cell, np.full((4, 1, 1), 0.1), Tensor([[0.4]]))
    draw(h_4.sum(), title="Simple RNN with relu").save(folder / "c4_activations.svg")


if __name__ == "__main__":
    main(output_folder())
