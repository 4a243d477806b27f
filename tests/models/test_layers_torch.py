"""Stacked, bidirectional and packed layers against numbers that torch computed (torch_recurrent.py).

torch's conventions are translated here: two biases where one is enough, and a GRU whose z = 1 − u keeps the old state.
"""

import json
from typing import Any

import numpy as np
import pytest
import torch_recurrent
from minigrad.models.cells import LSTMState
from minigrad.models.layers import RecurrentLayers

from minigrad import Tensor

STORED = json.loads(torch_recurrent.FILE.read_text())
Arrays = dict[str, np.ndarray]


def described(case: dict[str, Any]) -> str:
    kinds = f"{case['num_layers']} layers", "bidirectional" * case["bidirectional"], "packed" * (case["lengths"] is not None)
    return " ".join([case["kind"], f"T={case['T']}", *filter(None, kinds)])


def layers_like(case: dict[str, Any]) -> RecurrentLayers:
    name, *nonlinearity = case["kind"].lower().split()
    options: dict[str, Any] = {"nonlinearity": nonlinearity[0]} if nonlinearity else {}
    if name == "gru":
        options["reset"] = "after"
    sizes = {name: case[name] for name in ("num_layers", "bidirectional", "bias")}
    return RecurrentLayers(name, case["D"], case["H"], **sizes, **options)


def suffixes(case: dict[str, Any]) -> list[str]:
    directions = ("", "_reverse")[: 1 + case["bidirectional"]]
    return [f"l{layer}{direction}" for layer in range(case["num_layers"]) for direction in directions]


def ours(kind: str, W_x: np.ndarray, W_h: np.ndarray, biases: list[np.ndarray]) -> Arrays:
    """One cell's parameters by gate, from torch's; its two biases are added up where they are redundant."""
    b = sum(biases)
    if kind == "LSTM":
        gates = dict(zip("ifgo", np.split(np.arange(len(W_x)), 4), strict=True))
    elif kind == "GRU":
        gates = dict(zip("ruc", np.split(np.arange(len(W_x)), 3), strict=True))
    else:
        return {"W_hx": W_x, "W_hh": W_h, **({"b_h": b} if biases else {})}
    sign = {"u": -1.0} if kind == "GRU" else {}
    values = {f"W_{n}x": sign.get(n, 1.0) * W_x[rows] for n, rows in gates.items()}
    values |= {f"W_{n}h": sign.get(n, 1.0) * W_h[rows] for n, rows in gates.items()}
    if biases:
        values |= {f"b_{n}": sign.get(n, 1.0) * b[rows] for n, rows in gates.items()}
        if kind == "GRU":
            values |= {"b_c": biases[0][gates["c"]], "b_ch": biases[1][gates["c"]]}
    return values


def by_layers(case: dict[str, Any], hoist: bool) -> tuple[Arrays, list[Arrays], Arrays]:
    """Results, the gradients of every cell by gate, and those of the inputs."""
    layers, given = layers_like(case), torch_recurrent.inputs(case)
    cells = [cell for layer in layers.cells for cell in layer]
    W = torch_recurrent.weights(case)
    for cell, suffix in zip(cells, suffixes(case), strict=True):
        biases = [W[f"bias_{side}_{suffix}"] for side in ("ih", "hh")] if case["bias"] else []
        cell.load_by_gate(ours(case["kind"], W[f"weight_ih_{suffix}"], W[f"weight_hh_{suffix}"], biases))
    leaves = {name: Tensor(given[name], requires_grad=True) for name in ("xs", "h_0", "c_0") if name in given}
    state = LSTMState(leaves["c_0"], leaves["h_0"]) if "c_0" in leaves else leaves["h_0"]
    hs, final = layers(leaves["xs"], state, case["lengths"], hoist=hoist)
    loss = (hs * given["d_hs"]).sum()
    results = {"hs": hs, "h": final.h, "c": final.c} if isinstance(final, LSTMState) else {"hs": hs, "h": final}
    for name in results.keys() - {"hs"}:
        loss = loss + (results[name] * given[f"d_{name}"]).sum()
    loss.backward()
    gradients = {name: leaf.grad for name, leaf in leaves.items()}
    return {n: r.numpy() for n, r in results.items()}, [cell.by_gate(grad=True) for cell in cells], gradients


def assert_close(got: np.ndarray, stored: Any, name: str) -> None:
    expected = np.reshape(stored, got.shape)
    assert np.abs(got - expected).max() <= 1e-12 * max(1.0, np.abs(expected).max()), name


@pytest.mark.parametrize("hoist", [True, False])
@pytest.mark.parametrize("case", STORED["cases"], ids=described)
def test_outputs_states_and_every_gradient_are_torchs(case: dict[str, Any], hoist: bool) -> None:
    results, of_cells, of_inputs = by_layers(case, hoist)
    for name, got in results.items():
        assert_close(got, case["results"][name], name)
    for name, got in of_inputs.items():
        assert_close(got, case["gradients"][name], name)
    torchs = case["gradients"]
    for gradients, suffix in zip(of_cells, suffixes(case), strict=True):
        H = case["H"]
        W_x = np.reshape(torchs[f"weight_ih_{suffix}"], (-1, len(torchs[f"weight_ih_{suffix}"]) // (H * rows(case))))
        W_h = np.reshape(torchs[f"weight_hh_{suffix}"], (-1, H))
        # the gradient of a sum is that of either part, so torch's input bias alone tells it
        biases = [np.array(torchs[f"bias_{side}_{suffix}"]) for side in ("ih", "hh")] if case["bias"] else []
        expected = ours(case["kind"], W_x, W_h, [biases[0], 0 * biases[1]] if biases else [])
        if "b_ch" in expected:
            expected["b_ch"] = biases[1][2 * H :]
        assert gradients.keys() == expected.keys()
        for name, got in gradients.items():
            assert_close(got, expected[name], f"{name} of {suffix}")


def rows(case: dict[str, Any]) -> int:
    return torch_recurrent.ROWS[case["kind"]]


def test_the_stored_numbers_say_which_versions_made_them() -> None:
    assert set(STORED["versions"]) == {"python", "torch", "numpy"}
    assert [{key: case[key] for key in made} for case, made in zip(STORED["cases"], torch_recurrent.cases(), strict=True)] == (
        torch_recurrent.cases()
    )
