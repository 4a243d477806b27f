"""Write tests/data/torch_recurrent.json: outputs and gradients of torch's recurrent layers, to hold ours to.

Needs torch; the file says which version wrote it. Weights and inputs are not stored, both sides draw them here.

    python tests/torch_recurrent.py
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).parent.parent / "data" / "torch_recurrent.json"
Arrays = dict[str, np.ndarray]

KINDS: dict[str, dict[str, Any]] = {
    "RNN tanh": {"nonlinearity": "tanh"},
    "RNN relu": {"nonlinearity": "relu"},
    "GRU": {},
    "LSTM": {},
}
ROWS = {"RNN tanh": 1, "RNN relu": 1, "GRU": 3, "LSTM": 4}
SHAPES: list[dict[str, Any]] = [
    {"T": 6, "B": 3, "D": 4, "H": 2, "num_layers": 1, "bidirectional": False, "bias": True},
    {"T": 5, "B": 2, "D": 3, "H": 3, "num_layers": 1, "bidirectional": True, "bias": False},
    {"T": 4, "B": 3, "D": 2, "H": 3, "num_layers": 3, "bidirectional": False, "bias": True},
    {"T": 5, "B": 4, "D": 3, "H": 2, "num_layers": 2, "bidirectional": True, "bias": True},
    {"T": 30, "B": 2, "D": 2, "H": 3, "num_layers": 2, "bidirectional": False, "bias": True},
]
LENGTHS = {(4, 3): [2, 4, 3], (5, 4): [3, 1, 5, 4], (6, 3): [1, 4, 2]}
"""For (T, B): the lengths of packed sequences, unsorted; (6, 3) leaves steps that no example reaches."""


def cases() -> list[dict[str, Any]]:
    """All cases, without their numbers."""
    made = []
    for kind in KINDS:
        for shape in SHAPES:
            made.append({"kind": kind, **shape, "lengths": None})
            if (shape["T"], shape["B"]) in LENGTHS:
                made.append({"kind": kind, **shape, "lengths": LENGTHS[shape["T"], shape["B"]]})
    return made


def weights(case: dict[str, Any]) -> Arrays:
    """The layer's parameters under torch's names."""
    rng = np.random.default_rng([1, case["T"], case["B"]])
    directions, rows = 1 + case["bidirectional"], ROWS[case["kind"]] * case["H"]
    drawn = {}
    for layer in range(case["num_layers"]):
        width = case["D"] if layer == 0 else case["H"] * directions
        for suffix in (f"l{layer}", f"l{layer}_reverse")[:directions]:
            drawn[f"weight_ih_{suffix}"] = rng.normal(size=(rows, width)) / np.sqrt(width)
            drawn[f"weight_hh_{suffix}"] = rng.normal(size=(rows, case["H"])) / np.sqrt(case["H"])
            if case["bias"]:
                drawn[f"bias_ih_{suffix}"] = rng.normal(size=rows)
                drawn[f"bias_hh_{suffix}"] = rng.normal(size=rows)
    return drawn


def inputs(case: dict[str, Any]) -> Arrays:
    """xs, the initial states, and the upstream gradients of outputs and final states."""
    rng = np.random.default_rng([2, case["T"], case["B"]])
    T, B, H, directions = case["T"], case["B"], case["H"], 1 + case["bidirectional"]
    states = (case["num_layers"] * directions, B, H)
    drawn = {
        "xs": rng.normal(size=(T, B, case["D"])),
        "h_0": rng.normal(size=states),
        "c_0": rng.normal(size=states),
        "d_hs": rng.normal(size=(T, B, H * directions)),
        "d_h": rng.normal(size=states),
        "d_c": rng.normal(size=states),
    }
    if case["kind"] != "LSTM":
        del drawn["c_0"], drawn["d_c"]
    return drawn


def by_torch(case: dict[str, Any]) -> dict[str, Any]:
    """Outputs, final states, and the gradients of every leaf, by torch."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    layer = getattr(torch.nn, case["kind"].split()[0])(
        case["D"],
        case["H"],
        num_layers=case["num_layers"],
        bidirectional=case["bidirectional"],
        bias=case["bias"],
        dtype=torch.float64,
        **KINDS[case["kind"]],
    )
    layer.load_state_dict({name: torch.tensor(value) for name, value in weights(case).items()})
    given = {name: torch.tensor(value) for name, value in inputs(case).items()}
    leaves = {name: given[name].requires_grad_() for name in ("xs", "h_0", "c_0") if name in given}
    state = (leaves["h_0"], leaves["c_0"]) if "c_0" in leaves else leaves["h_0"]
    if case["lengths"] is None:
        hs, final = layer(leaves["xs"], state)
    else:
        packed, final = layer(pack_padded_sequence(leaves["xs"], case["lengths"], enforce_sorted=False), state)
        hs, _ = pad_packed_sequence(packed, total_length=case["T"])
    h, *c = final if isinstance(final, tuple) else (final,)
    loss = (hs * given["d_hs"]).sum() + (h * given["d_h"]).sum() + sum((part * given["d_c"]).sum() for part in c)
    loss.backward()
    results = {"hs": hs, "h": h, **({"c": c[0]} if c else {})}
    gradients = {name: p.grad for name, p in layer.named_parameters()} | {name: leaf.grad for name, leaf in leaves.items()}
    return {
        "results": {name: value.detach().numpy().ravel().tolist() for name, value in results.items()},
        "gradients": {name: value.numpy().ravel().tolist() for name, value in gradients.items()},
    }


def generate() -> dict[str, Any]:
    """Run torch on all cases."""
    import torch

    versions = {"python": sys.version.split()[0], "torch": torch.__version__, "numpy": np.__version__}
    return {"versions": versions, "cases": [case | by_torch(case) for case in cases()]}


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(generate(), separators=(",", ":")).replace('{"kind"', '\n{"kind"') + "\n")
