"""Which parts of an LSTM correspond to Γ_u and 1 − Γ_u of a GRU?

    GRU:   c<t> = Γ_u ⊙ c̃<t> + (1 − Γ_u) ⊙ c<t−1>
    LSTM:  c<t> = Γ_u ⊙ c̃<t> +     Γ_f   ⊙ c<t−1>          (C3)

If the correspondence holds, an LSTM can be made to do what a GRU does. Since 1 − σ(a) = σ(−a), forget weights that are
minus the update weights make Γ_f = 1 − Γ_u. What else differs is switched off: the GRU's reset gate (Γ_r ≡ 1), the
LSTM's output gate (a bias of 1000 makes Γ_o = 1) and its output tanh.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import GRU, LSTM, LSTMState, unroll
from minigrad.viz import draw

from minigrad import Tensor, grad


def main(folder: Path) -> None:
    """Print how far the two are apart over 20 steps, in values and in gradients, and how far without the minus."""
    T, D, H = 20, 3, 4
    gru = GRU(D, H, reset_gate=False, seed=0)
    g = gru.by_gate()
    as_lstm = {
        "W_ih": g["W_uh"], "W_ix": g["W_ux"], "b_i": g["b_u"],            # Γ_u stays Γ_u
        "W_fh": -g["W_uh"], "W_fx": -g["W_ux"], "b_f": -g["b_u"],         # Γ_f = 1 − Γ_u
        "W_gh": g["W_ch"], "W_gx": g["W_cx"], "b_g": g["b_c"],            # the candidate stays the candidate
        "W_oh": np.zeros((H, H)), "W_ox": np.zeros((H, D)), "b_o": np.full(H, 1000.0),
    }  # fmt: skip
    without_minus = as_lstm | {"W_fh": g["W_uh"], "W_fx": g["W_ux"], "b_f": g["b_u"]}

    rng = np.random.default_rng(1)
    xs, start = rng.normal(size=(T, 1, D)), rng.normal(size=(1, H))
    c_0 = Tensor(start, requires_grad=True)
    by_gru, _ = unroll(gru, xs, c_0)
    (through_gru,) = grad(by_gru[T - 1].sum(), c_0)

    apart = {}
    for name, weights in {"Γ_f = 1 − Γ_u": as_lstm, "Γ_f = Γ_u": without_minus}.items():
        lstm = LSTM(D, H, output_tanh=False)
        lstm.load_by_gate(weights)
        by_lstm, _ = unroll(lstm, xs, LSTMState(c=c_0, h=c_0))
        (through_lstm,) = grad(by_lstm[T - 1].sum(), c_0)
        apart[name] = float(np.abs(by_lstm.numpy() - by_gru.numpy()).max())
        gradients = float(np.abs(through_lstm.numpy() - through_gru.numpy()).max())
        print(f"LSTM with {name:<14}: largest difference in a state {apart[name]:.9e}, in ∂Σa<20>/∂c<0> {gradients:.9e}")

    print(
        f"Answer: Γ_u and Γ_f. An LSTM with Γ_f = 1 − Γ_u repeats the GRU over {T} steps to 13 digits "
        f"({apart['Γ_f = 1 − Γ_u'] < 1e-13}); with Γ_f = Γ_u it is off by {apart['Γ_f = Γ_u']:.2f}."
    )

    by_gru, _ = unroll(gru, xs[:3], c_0)
    draw(by_gru[2].sum(), title="GRU: one gate shares the state out between new and old").save(folder / "c3_gru_and_lstm.svg")


if __name__ == "__main__":
    main(output_folder())
