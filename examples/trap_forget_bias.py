"""Keras starts the forget gate's bias at 1, torch draws it like every other weight. Does it matter?

    c_t = f ⊙ c_{t−1} + i ⊙ g,   f = σ(W_fh h_{t−1} + W_fx x_t + b_f)

Untrained weights are small, so f ≈ σ(b_f): about σ(0) = 0.5, or σ(1) = 0.73. What is left of a gradient on its way along
the cell state is the product of the f: after 30 steps 0.5³⁰ ≈ 10⁻⁹, or 0.73³⁰ ≈ 10⁻⁴. Measured on real cells:
"""

from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import LSTM, LSTMState, unroll
from minigrad.viz import draw

from minigrad import Tensor, grad

T, D, H = 30, 4, 32


def kept(forget_bias: float | None, xs: np.ndarray) -> tuple[float, float]:
    """The mean forget gate at the first step, and ‖∂(Σ c_30)/∂c_0‖ / ‖1‖: what is left of a gradient of ones."""
    cell = LSTM(D, H, forget_bias=forget_bias, seed=0)
    f = 1 / (1 + np.exp(-(xs[0] @ cell.by_gate()["W_fx"].T + cell.by_gate()["b_f"])))
    c_0 = Tensor(np.zeros((1, H)), requires_grad=True)
    _, (c, _) = unroll(cell, xs, LSTMState(c=c_0, h=Tensor(np.zeros((1, H)))))
    (g,) = grad(c.sum(), c_0)
    return float(f.mean()), float(np.sqrt((g.numpy() ** 2).mean()))


def main(folder: Path) -> None:
    """Print the first forget gate and the gradient that is left after 30 steps, for three initial values of b_f."""
    xs = np.random.default_rng(1).normal(size=(T, 1, D))
    left = {}
    for name, forget_bias in {"drawn, as torch does": None, "1, as Keras does": 1.0, "3": 3.0}.items():
        gate, left[name] = kept(forget_bias, xs)
        print(f"b_f = {name:<21} first forget gate {gate:.12f} on average, gradient left after {T} steps {left[name]}")

    drawn, keras = left["drawn, as torch does"], left["1, as Keras does"]
    print(
        f"Answer: yes. Of the gradient {drawn:.0e} is left after {T} steps with b_f drawn, {keras:.0e} with b_f = 1: "
        f"{keras / drawn:,.0f} times as much. LSTM(…, forget_bias=1.0) asks for it."
    )

    c_0 = Tensor(np.zeros((1, H)), requires_grad=True)
    _, (c, _) = unroll(LSTM(D, H, seed=0), xs[:6], LSTMState(c=c_0, h=Tensor(np.zeros((1, H)))))
    picture = draw(c.sum(), title="Forget bias drawn around 0: half of the gradient is lost at every step")
    picture.save(folder / "trap_forget_bias.svg")


if __name__ == "__main__":
    main(output_folder())
