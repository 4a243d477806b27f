"""Your lstm_cell_backward returns dc_prev and dh_prev. Are they c.grad and h.grad of the step before?

    ∂L/∂c_t = ∂L/∂h_t ⊙ o_t ⊙ (1 − tanh²(c_t))  +  f_{t+1} ⊙ ∂L/∂c_{t+1}

The gradient of a state is total: it is summed over all ways to the loss. c_t has two, through h_t and through c_{t+1}; h_t has
two, the loss of step t and step t + 1. What a backward function of one step hands back are the ways through that step alone.
The derivation keeps them apart: L₊ is what comes back from the next step. Its NumPy program is run from the last step down to
step t + 1, and what it hands back is compared with the gradients that autograd keeps.
"""

from pathlib import Path
from typing import Any

import numpy as np
from lesson import output_folder
from minigrad.models import LSTM
from minigrad.viz import draw

from minigrad import Tensor, derive, scope, time_step

T, t, D, H = 5, 3, 2, 3


def main(folder: Path) -> None:
    """Print the parts of ∂L/∂c_t and ∂L/∂h_t, and their sums beside autograd's."""
    rng = np.random.default_rng(0)
    cell, xs, weights = LSTM(D, H, seed=1), rng.normal(size=(T, 1, D)), rng.normal(size=(T, 1, H))
    derivation = derive(cell)
    print(*derivation.text_of("cotangent")[:4], *derivation.text_of("state"), sep="\n")
    program: dict[str, Any] = {"__name__": "derived"}
    exec(derivation.numpy(), program)

    state, states, losses = cell.initial_state(1), [], []
    with scope("lstm"):
        for k in range(1, T + 1):
            with time_step(k):
                state = cell.step(Tensor(xs[k - 1]), state)
            state.c.retain_grad()
            state.h.retain_grad()
            states.append(state)
            losses.append((state.h * weights[k - 1]).sum())
    loss = sum(losses[1:], losses[0])
    loss.backward(retain_graph=True)
    c, h = states[t - 1]

    params, zeros = cell.by_gate(), np.zeros((1, H))
    later = program["forward"](params, xs[t:], (c.numpy(), h.numpy()))
    dc_prev, dh_prev = program["backward"](params, later, weights[t:], (zeros, zeros)).state
    *_, o, tanh_c = program["forward"](params, xs[:t], (zeros, zeros)).steps[t - 1]
    of_loss = weights[t - 1]
    through_h = (of_loss + dh_prev) * o * (1 - tanh_c**2)

    def off(part: np.ndarray, whole: Any) -> float:
        return float(np.abs(part - whole).max() / np.abs(whole).max())

    print(f"dc_prev that step {t + 1} hands back, beside c_{t}.grad:        off by {off(dc_prev, c.grad):.0%}")
    print(f"dc_prev and the way through h_{t}, beside c_{t}.grad:        off by {off(dc_prev + through_h, c.grad):.1e}")
    print(f"dh_prev that step {t + 1} hands back, beside h_{t}.grad:        off by {off(dh_prev, h.grad):.0%}")
    print(f"dh_prev and what the loss of step {t} sends, beside h_{t}.grad: off by {off(dh_prev + of_loss, h.grad):.1e}")
    agree = max(off(dc_prev + through_h, c.grad), off(dh_prev + of_loss, h.grad)) < 1e-13
    print(
        f"Answer: no. They are the ways through step t + 1 alone; c.grad and h.grad are all ways. Here dc_prev differs by "
        f"{off(dc_prev, c.grad):.0%} and dh_prev by {off(dh_prev, h.grad):.0%}, and both are right: with the other ways added "
        f"they are equal to 13 digits ({agree})."
    )

    draw(loss, title="Every way from a cell state to the loss").save(folder / "trap_total_and_partial.svg")


if __name__ == "__main__":
    main(output_folder())
