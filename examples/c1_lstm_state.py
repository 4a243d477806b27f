"""What must an LSTM be handed to go on where it stopped: h_t, c_t, the gates?

    (c_t, h_t) = step(x_t, (c_{t−1}, h_{t−1}))        gates i, f, o and candidate g are computed on the way (C1)

Eight steps in one go are compared with four steps, a pause, and four more steps that are handed something less.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import LSTM, LSTMState, unroll
from minigrad.viz import draw


def main(folder: Path) -> None:
    """Print how far the second half is off, for everything that can be handed over at the pause."""
    rng = np.random.default_rng(0)
    cell = LSTM(input_size=2, hidden_size=3, seed=1)
    xs = rng.normal(size=(8, 1, 2))
    whole, _ = unroll(cell, xs)
    _, (c, h) = unroll(cell, xs[:4])

    nothing = c * 0.0
    handed = {
        "c and h": LSTMState(c, h),
        "h only": LSTMState(nothing, h),
        "c only": LSTMState(c, nothing),
        "nothing": LSTMState(nothing, nothing),
    }
    off = {}
    for what, state in handed.items():
        second_half, _ = unroll(cell, xs[4:], state)
        off[what] = float(np.abs(second_half.numpy() - whole.numpy()[4:]).max())
        print(f"handed over {what:<8}: largest difference in h_5 … h_8 = {off[what]}")

    print(
        f"Answer: c_t and h_t together; then the rest is the same to the bit ({off['c and h'] == 0.0}). Without c it is off "
        f"by {off['h only']:.3f}, without h by {off['c only']:.3f}. The gates were never handed over: they are not state."
    )

    hs, _ = unroll(cell, xs[:4])
    draw(hs[3].sum(), title="LSTM: only c and h cross from step to step").save(folder / "c1_lstm_state.svg")


if __name__ == "__main__":
    main(output_folder())
