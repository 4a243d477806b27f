"""What is c<t> of one GRU step, by the course's equations and by four that look like them?

    Γ_u = σ(W_u [c<t−1>, x<t>] + b_u)          Γ_r = σ(W_r [c<t−1>, x<t>] + b_r)
    c̃<t> = tanh(W_c [Γ_r ⊙ c<t−1>, x<t>] + b_c)
    c<t> = Γ_u ⊙ c̃<t> + (1 − Γ_u) ⊙ c<t−1>,   a<t> = c<t>          (C3; the library writes h for both)

One unit, one input, and nine weights that are all different, so that no two of them can be exchanged unseen.
"""

from math import exp, tanh
from pathlib import Path

from lesson import output_folder
from minigrad.models import GRU, unroll
from minigrad.viz import draw

from minigrad import Tensor

WEIGHTS = {
    "W_uh": -0.5, "W_ux": 0.2, "b_u": 1.1,
    "W_rh": 0.4, "W_rx": -0.7, "b_r": 0.3,
    "W_ch": -1.1, "W_cx": 0.9, "b_c": -0.2,
}  # fmt: skip


def sigma(a: float) -> float:
    """σ(a) = 1 / (1 + e^−a)."""
    return 1 / (1 + exp(-a))


def main(folder: Path) -> None:
    """Print c<t> by the library and by the formulas."""
    c, x = 0.6, 0.8
    cell = GRU(input_size=1, hidden_size=1)
    cell.load_by_gate({name: [value] if name[0] == "b" else [[value]] for name, value in WEIGHTS.items()})
    hs, state = unroll(cell, [[[x]]], Tensor([[c]]))
    print(f"c<t> = {state.item()}")

    w = WEIGHTS
    u = sigma(w["W_uh"] * c + w["W_ux"] * x + w["b_u"])
    r = sigma(w["W_rh"] * c + w["W_rx"] * x + w["b_r"])

    def candidate(reset: float) -> float:
        return tanh(w["W_ch"] * (reset * c) + w["W_cx"] * x + w["b_c"])

    formulas = {
        "right": u * candidate(r) + (1 - u) * c,
        "wrong: Γ_u on the old state": (1 - u) * candidate(r) + u * c,
        "wrong: Γ_u and Γ_r exchanged": r * candidate(u) + (1 - r) * c,
        "wrong: no reset gate, Γ_r = 1": u * candidate(1.0) + (1 - u) * c,
        "wrong: no update gate, Γ_u = 1": candidate(r),
    }
    for formula, value in formulas.items():
        print(f"{formula:<31} {value:<21} off by {abs(value - state.item()):.9f}")

    nearest = min(abs(value - state.item()) for formula, value in formulas.items() if formula != "right")
    print(f"Answer: c<t> = a<t> = {state.item():.12f}; the nearest of the four look-alikes is {nearest:.3f} away.")

    draw(hs.sum(), title="One GRU step").save(folder / "c3_gru_by_numbers.svg")


if __name__ == "__main__":
    main(output_folder())
