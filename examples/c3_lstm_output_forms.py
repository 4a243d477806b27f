"""The course prints an LSTM's output without tanh, libraries compute it with one: does it matter?

    a<t> = Γ_o ⊙ c<t>                as printed in C3          LSTM(…, output_tanh=False)
    a<t> = Γ_o ⊙ tanh(c<t>)          the standard form         LSTM(…), the default

The same weights, inputs and first state in both; then seven more steps, in which the difference comes back through a<t−1>.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import LSTM, unroll
from minigrad.viz import draw


def main(folder: Path) -> None:
    """Print both outputs over the steps."""
    standard = LSTM(input_size=1, hidden_size=1, seed=0)
    printed = LSTM(input_size=1, hidden_size=1, output_tanh=False)
    weights = {name: np.full_like(w, 0.5 + 0.1 * k) for k, (name, w) in enumerate(standard.by_gate().items())}
    standard.load_by_gate(weights)
    printed.load_by_gate(weights)

    xs = np.ones((8, 1, 1))
    a_standard, (c_standard, _) = unroll(standard, xs)
    a_printed, (c_printed, _) = unroll(printed, xs)
    print("t   Γ_o ⊙ tanh(c)        Γ_o ⊙ c")
    for t in range(1, 9):
        print(f"{t}   {a_standard.numpy()[t - 1, 0, 0]:<20} {a_printed.numpy()[t - 1, 0, 0]}")
    print(f"c<8> {c_standard.item()} and {c_printed.item()}")

    first = a_standard.numpy()[0, 0, 0], a_printed.numpy()[0, 0, 0]
    print(
        f"Answer: yes, the two differ: a<1> = {first[0]:.6f} with tanh and {first[1]:.6f} without, from the same "
        f"c<1>. Without tanh the output leaves (−1, 1): a<8> = {a_printed.numpy()[7, 0, 0]:.2f}."
    )

    a_printed, _ = unroll(printed, xs[:3])
    draw(a_printed.sum(), title="LSTM as printed in C3: no tanh on the output").save(folder / "c3_lstm_output_forms.svg")


if __name__ == "__main__":
    main(output_folder())
