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
    f = sigmoid(W["f"] @ z + b["f"])
    i = sigmoid(W["i"] @ z + b["i"])
    o = sigmoid(W["o"] @ z + b["o"])
    g = np.tanh(W["g"] @ z + b["g"])
    c_next = f * c_prev + i * g
    h_next = o * np.tanh(c_next)
    return h_next, c_next, (z, c_prev, f, i, o, g, c_next)


def finished(W: dict[str, Array], z: Array, da: dict[str, Array], dc_prev: Array) -> dict[str, Any]:
    """What follows from the gradients before the activations, ``da``: the same in every solution."""
    dz = sum((W[k].T @ da[k] for k in "fiog"), start=np.zeros_like(z))
    H = len(dc_prev)
    dW = {k: da[k] @ z.T for k in "fiog"}
    db = {k: da[k].sum(axis=1, keepdims=True) for k in "fiog"}
    return {"dh_prev": dz[:H], "dxt": dz[H:], "dc_prev": dc_prev, "dW": dW, "db": db}


def right(dh_next: Array, dc_next: Array, cache: Any, W: dict[str, Array]) -> dict[str, Any]:
    """The derivation without a mistake."""
    z, c_prev, f, i, o, g, c_next = cache
    dc = dc_next + dh_next * o * (1 - np.tanh(c_next) ** 2)
    da = {"f": dc * c_prev * f * (1 - f), "i": dc * g * i * (1 - i), "g": dc * i * (1 - g**2)}
    da["o"] = dh_next * np.tanh(c_next) * o * (1 - o)
    return finished(W, z, da, dc * f)


def ada(dh_next: Array, dc_next: Array, cache: Any, W: dict[str, Array]) -> dict[str, Any]:
    """c in the place of tanh(c) in the derivative of tanh."""
    z, c_prev, f, i, o, g, c_next = cache
    dc = dc_next + dh_next * o * (1 - c_next**2)
    da = {"f": dc * c_prev * f * (1 - f), "i": dc * g * i * (1 - i), "g": dc * i * (1 - g**2)}
    da["o"] = dh_next * np.tanh(c_next) * o * (1 - o)
    return finished(W, z, da, dc * f)


def ben(dh_next: Array, dc_next: Array, cache: Any, W: dict[str, Array]) -> dict[str, Any]:
    """The path through h_t is missing in what is handed back to c_{t−1}."""
    z, c_prev, f, i, o, g, c_next = cache
    dc = dc_next + dh_next * o * (1 - np.tanh(c_next) ** 2)
    da = {"f": dc * c_prev * f * (1 - f), "i": dc * g * i * (1 - i), "g": dc * i * (1 - g**2)}
    da["o"] = dh_next * np.tanh(c_next) * o * (1 - o)
    return finished(W, z, da, dc_next * f)


def cleo(dh_next: Array, dc_next: Array, cache: Any, W: dict[str, Array]) -> dict[str, Any]:
    """Brackets are missing in the input gate: the derivative of σ multiplies one term of two."""
    z, c_prev, f, i, o, g, c_next = cache
    through_h = dh_next * o * (1 - np.tanh(c_next) ** 2)
    dc = dc_next + through_h
    da = {"f": dc * c_prev * f * (1 - f), "i": dc_next * g + through_h * g * i * (1 - i), "g": dc * i * (1 - g**2)}
    da["o"] = dh_next * np.tanh(c_next) * o * (1 - o)
    return finished(W, z, da, dc * f)


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
        print(f"\n{solution.__name__}: {finding.kind}", finding.missing, f"effect: {finding.effect}", sep="\n  ")
        print(f"  right:  {finding.right}")
    print(
        f"\nAnswer: ada took c for tanh(c), ben lost the path through h, cleo lost brackets: {named} of 3 named, and the right "
        "one passes. check_backward(forward, backward, example_arguments) says so of yours."
    )

    cell = LSTM(D, H, seed=0)
    hs, _ = unroll(cell, np.ones((2, 1, D)))
    draw((hs * hs).sum(), title="Two steps of an LSTM: every arrow is a term of the derivation").save(
        folder / "trap_wrong_backward.svg"
    )


if __name__ == "__main__":
    main(output_folder())
