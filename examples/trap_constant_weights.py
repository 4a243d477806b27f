"""A test of an LSTM sets every weight to the same number, D to H, and passes: what can it not have seen?

Two mistakes are planted in the weights of a correct LSTM: input and forget gate exchanged, and every W_·h transposed. Then
the test's question is asked: are the outputs those of the correct LSTM? Once with constant weights, once with random ones;
and a transposed W_·x, once with D = H and once with D ≠ H.
"""

from pathlib import Path

import numpy as np
from lesson import output_folder
from minigrad.models import LSTM, unroll
from minigrad.viz import draw

from minigrad.errors import ShapeError

Weights = dict[str, np.ndarray]


def exchanged(w: Weights) -> Weights:
    """Input and forget gate in each other's place."""
    other = {"i": "f", "f": "i"}
    return {name.replace(f"_{gate}", f"_{other.get(gate, gate)}"): value for name, value in w.items() for gate in name[2]}


def transposed(w: Weights, last: str) -> Weights:
    """Every matrix W_·h (or W_·x) transposed."""
    return {name: value.T if name[0] == "W" and name.endswith(last) else value for name, value in w.items()}


def outputs(w: Weights, D: int, H: int) -> np.ndarray:
    """h_1 … h_5 of an LSTM with these weights, on inputs that are always the same."""
    cell = LSTM(D, H)
    cell.load_by_gate(w)
    return unroll(cell, np.random.default_rng(0).normal(size=(5, 1, D)))[0].numpy()


def main(folder: Path) -> None:
    """Print what each planted mistake changes under constant and under random weights."""
    H = 4
    shapes = {name: value.shape for name, value in LSTM(H, H).by_gate().items()}
    rng = np.random.default_rng(1)
    constant = {name: np.full(shape, 0.5) for name, shape in shapes.items()}
    random = {name: rng.normal(size=shape) for name, shape in shapes.items()}

    found = {}
    for kind, w in {"constant": constant, "random": random}.items():
        for mistake, planted in {"i and f exchanged": exchanged(w), "W_·h transposed": transposed(w, "h")}.items():
            found[kind, mistake] = float(np.abs(outputs(planted, H, H) - outputs(w, H, H)).max())
            print(f"{kind:<9} weights, {mistake:<18}: outputs change by {found[kind, mistake]}")

    change = float(np.abs(outputs(transposed(constant, "x"), H, H) - outputs(constant, H, H)).max())
    print(f"constant  weights, W_·x transposed    , D = H: outputs change by {change}")
    D = 3
    unequal = {name: np.full(value.shape, 0.5) for name, value in LSTM(D, H).by_gate().items()}
    try:
        outputs(transposed(unequal, "x"), D, H)
        noticed = "nothing is noticed"
    except ShapeError as error:
        noticed = f"refused: {error}"
    print(f"constant  weights, W_·x transposed    , D ≠ H: {noticed}")

    seen = [mistake for (kind, mistake), size in found.items() if kind == "constant" and size > 0]
    print(
        f"Answer: a swapped gate and a transposed matrix. With constant weights {len(seen)} of 2 mistakes change an output; "
        f"with random ones both do, by {found['random', 'i and f exchanged']:.2f} and {found['random', 'W_·h transposed']:.2f}."
    )

    cell = LSTM(D, H, seed=0)
    picture = draw(unroll(cell, np.ones((2, 1, D)))[0].sum(), title="Four gates, four different matrices")
    picture.save(folder / "trap_constant_weights.svg")


if __name__ == "__main__":
    main(output_folder())
