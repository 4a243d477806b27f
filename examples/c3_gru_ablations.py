"""Which gate of a GRU may be removed if gradients are to survive a long sequence: the update or the reset gate?

    c<t> = Γ_u ⊙ c̃<t> + (1 − Γ_u) ⊙ c<t−1>,   c̃<t> = tanh(W_c [Γ_r ⊙ c<t−1>, x<t>] + b_c)          (C3)

When Γ_u ≈ 0, c<t> ≈ c<t−1> and the gradient passes as it is. With Γ_r ≡ 1 that stays so; with Γ_u ≡ 1, c<t> = c̃<t>, and
the gradient must go through W_c and the slope of tanh at every step. Measured: ‖∂c<100>/∂c<t>‖, with b_u = −6.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import GRU, unroll
from minigrad.viz import draw

from minigrad import Tensor, grad

T, D, H = 100, 3, 6


def ablated(without: str) -> GRU:
    """A GRU whose gate "u" or "r" is removed (or none), its other weights being the same in all three."""
    full = GRU(D, H, seed=0)
    weights = full.by_gate() | {"b_u": np.full(H, -6.0)}
    cell = GRU(D, H, update_gate=without != "u", reset_gate=without != "r")
    cell.load_by_gate({name: weights[name] for name in cell.by_gate()})
    return cell


def flow(cell: GRU, xs: np.ndarray) -> np.ndarray:
    """‖∂c<100>/∂c<t>‖ (Frobenius) for t = 0 … 99."""
    states = [Tensor(np.zeros((1, H)), requires_grad=True)]
    for t in range(1, T + 1):
        states.append(cell.step(Tensor(xs[t - 1]), states[-1]))
    rows = [grad(states[T][0, i], states[:T], retain_graph=True) for i in range(H)]
    jacobians = np.array([[g.numpy()[0] for g in row] for row in rows])                 # (H, T, H): entry i by c<t>
    return np.asarray(np.sqrt((jacobians**2).sum(axis=(0, 2))))


def main(folder: Path) -> None:
    """Print how much gradient gets back to c<t> in the whole GRU and in the two ablated ones."""
    xs = np.random.default_rng(1).normal(size=(T, 1, D))
    names = {"": "whole GRU", "r": "Γ_r ≡ 1, reset gate removed", "u": "Γ_u ≡ 1, update gate removed"}
    reaches = {without: flow(ablated(without), xs) for without in names}
    print("‖∂c<100>/∂c<t>‖ at t =       " + "".join(f"{t:>15}" for t in (99, 90, 75, 50, 25, 0)))
    for without, name in names.items():
        print(f"{name:<29}" + "".join(f"{reaches[without][t]:>15.8e}" for t in (99, 90, 75, 50, 25, 0)))

    print(
        f"Answer: the reset gate. Over 100 steps Γ_r ≡ 1 keeps ‖∂c<100>/∂c<0>‖ = {reaches['r'][0]:.2f} "
        f"(whole GRU: {reaches[''][0]:.2f}), Γ_u ≡ 1 leaves {reaches['u'][0]:.0e}."
    )

    c_0 = Tensor(np.zeros((1, H)), requires_grad=True)
    for without, name in names.items():
        hs, _ = unroll(ablated(without), xs[:8], c_0)
        picture = draw(hs[7].sum(), title=f"{name}: the gradient on its way back over 8 steps")
        picture.save(folder / f"c3_gru_ablations{'_without_' if without else ''}{without}.svg")


if __name__ == "__main__":
    main(output_folder())
