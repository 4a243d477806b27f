"""Three people hand in the backward pass of an LSTM cell, and each has another term wrong. Which one?

    c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t,   h_t = o_t ⊙ tanh(c_t)
    ∂L/∂c_t = ∂L/∂c_t (from step t + 1) + ∂L/∂h_t ⊙ o_t ⊙ (1 − tanh²(c_t))

The forward pass is plain NumPy with the examples in columns and [h, x] in one array, as in C3. It stays as it is: run on
stand-ins for arrays it says by itself what its derivatives are, and a change of one line of them that gives exactly the
numbers handed in is the mistake.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lesson import output_folder
from minigrad.models import LSTM, unroll
from minigrad.viz import draw

from minigrad import check_backward

Array = npt.NDArray[np.float64]


def sigmoid(x: Array) -> Array:
    """σ of every entry."""
    return 1 / (1 + np.exp(-x))


def lstm_cell_forward(xt: Array, h_prev: Array, c_prev: Array, W: dict[str, Array], b: dict[str, Array]) -> Any:
    """One step: x_t (D, B), h and c (H, B), each gate's W (H, H + D) and b (H, 1)."""
    z = np.concatenate([h_prev, xt], axis=0)
    f, i = sigmoid(W["f"] @ z + b["f"]), sigmoid(W["i"] @ z + b["i"])
    o, g = sigmoid(W["o"] @ z + b["o"]), np.tanh(W["g"] @ z + b["g"])
    c_next = f * c_prev + i * g
    h_next = o * np.tanh(c_next)
    return h_next, c_next, (z, c_prev, f, i, o, g, c_next)


def finished(W: dict[str, Array], cache: Any, dh_next: Array, dc: Array, da_i: Array, dc_prev: Array) -> dict[str, Any]:
    """What is the same in every solution, given ∂L/∂c_t, the input gate's gradient before σ, and what c_{t−1} gets."""
    z, c_prev, f, i, o, g, c_next = cache
    da = {"f": dc * c_prev * f * (1 - f), "i": da_i, "g": dc * i * (1 - g**2), "o": dh_next * np.tanh(c_next) * o * (1 - o)}
    dz = sum((W[k].T @ da[k] for k in "fiog"), start=np.zeros_like(z))
    dW, db = {k: da[k] @ z.T for k in "fiog"}, {k: da[k].sum(axis=1, keepdims=True) for k in "fiog"}
    return {"dh_prev": dz[: len(f)], "dxt": dz[len(f) :], "dc_prev": dc_prev, "dW": dW, "db": db}


def right(dh_next: Array, dc_next: Array, cache: Any, W: dict[str, Array]) -> dict[str, Any]:
    """The derivation without a mistake."""
    _, _, f, i, o, g, c_next = cache
    dc = dc_next + dh_next * o * (1 - np.tanh(c_next) ** 2)
    return finished(W, cache, dh_next, dc, dc * g * i * (1 - i), dc * f)


def ada(dh_next: Array, dc_next: Array, cache: Any, W: dict[str, Array]) -> dict[str, Any]:
    """c in the place of tanh(c) in the derivative of tanh."""
    _, _, f, i, o, g, c_next = cache
    dc = dc_next + dh_next * o * (1 - c_next**2)
    return finished(W, cache, dh_next, dc, dc * g * i * (1 - i), dc * f)


def ben(dh_next: Array, dc_next: Array, cache: Any, W: dict[str, Array]) -> dict[str, Any]:
    """The path through h_t is missing in what is handed back to c_{t−1}."""
    _, _, f, i, o, g, c_next = cache
    dc = dc_next + dh_next * o * (1 - np.tanh(c_next) ** 2)
    return finished(W, cache, dh_next, dc, dc * g * i * (1 - i), dc_next * f)


def cleo(dh_next: Array, dc_next: Array, cache: Any, W: dict[str, Array]) -> dict[str, Any]:
    """Brackets are missing in the input gate: the derivative of σ multiplies one term of two."""
    _, _, f, i, o, g, c_next = cache
    back = dh_next * o * (1 - np.tanh(c_next) ** 2)
    return finished(W, cache, dh_next, dc_next + back, dc_next * g + back * g * i * (1 - i), (dc_next + back) * f)


def main(folder: Path) -> None:
    """Check the right derivation and the three wrong ones; print what the checker says of each."""
    D, H, B = 3, 5, 4
    W, b = {k: np.ones((H, H + D)) for k in "fiog"}, {k: np.ones((H, 1)) for k in "fiog"}
    example = np.ones((D, B)), np.ones((H, B)), np.ones((H, B)), W, b
    print("right:", "passes" if check_backward(lstm_cell_forward, right, example).passed else "is accused")
    named = 0
    for solution in (ada, ben, cleo):
        report = check_backward(lstm_cell_forward, solution, example)
        (finding,) = report.findings
        named += report.named
        said = finding.missing, f"effect: {finding.effect}", f"right:  {finding.right}"
        print(f"\n{solution.__name__}: {finding.kind}", *said, sep="\n  ")
    print(
        f"\nAnswer: ada took c for tanh(c), ben lost the path through h, cleo lost brackets: {named} of 3 named, and the right "
        "one passes. check_backward(forward, backward, example_arguments) says so of yours."
    )

    hs, _ = unroll(LSTM(D, H, seed=0), np.ones((2, 1, D)))
    draw((hs * hs).sum(), title="Every arrow is a term of the derivation").save(folder / "trap_wrong_backward.svg")


if __name__ == "__main__":
    main(output_folder())
