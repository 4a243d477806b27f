"""Write tests/data/onnx_recurrent.json: what ONNX's RNN, GRU and LSTM operators compute, to hold ours to.

Needs onnx, whose reference evaluator runs the operators; the file says which version wrote it. Weights and inputs are not
stored, both sides draw them here.

    python tests/onnx_recurrent.py
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).parent.parent / "data" / "onnx_recurrent.json"
T, B, D, H = 5, 2, 3, 4
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}
Arrays = dict[str, np.ndarray]


def cases() -> list[dict[str, Any]]:
    """All cases, without their numbers."""
    kinds: list[tuple[str, dict[str, Any], str]] = [
        ("RNN", {}, "B"),
        ("RNN", {}, ""),
        ("GRU", {"linear_before_reset": 0}, "B"),
        ("GRU", {"linear_before_reset": 1}, "B"),
        ("GRU", {"linear_before_reset": 1}, ""),
        ("LSTM", {}, "B"),
        ("LSTM", {}, ""),
        ("LSTM", {}, "BP"),
        ("LSTM", {}, "P"),
    ]
    return [
        {"kind": kind, "attributes": {**attributes, "direction": direction}, "given": given}
        for kind, attributes, given in kinds
        for direction in DIRECTIONS
    ]


def weights(case: dict[str, Any]) -> Arrays:
    """The operator's weights under ONNX's names."""
    rng = np.random.default_rng(5)
    directions, rows = DIRECTIONS[case["attributes"]["direction"]], GATES[case["kind"]] * H
    drawn = {
        "W": rng.normal(size=(directions, rows, D)),
        "R": rng.normal(size=(directions, rows, H)) / 2,
        "B": rng.normal(size=(directions, 2 * rows)),
        "P": rng.normal(size=(directions, 3 * H)),
    }
    return {name: array for name, array in drawn.items() if name in {"W", "R", *case["given"]}}


def inputs(case: dict[str, Any]) -> Arrays:
    """X (T, B, D) and the initial states (directions, B, H)."""
    rng = np.random.default_rng(6)
    directions = DIRECTIONS[case["attributes"]["direction"]]
    drawn = {"X": rng.normal(size=(T, B, D)), "initial_h": rng.normal(size=(directions, B, H))}
    return drawn | ({"initial_c": rng.normal(size=(directions, B, H))} if case["kind"] == "LSTM" else {})


def by_onnx(case: dict[str, Any]) -> dict[str, Any]:
    """Y (T, directions, B, H) and the final states."""
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    given = {**weights(case), **inputs(case)}
    order = ["X", "W", "R", "B", "sequence_lens", "initial_h"] + ["initial_c", "P"] * (case["kind"] == "LSTM")
    outputs = ["Y", "Y_h", "Y_c"][: 2 + (case["kind"] == "LSTM")]
    names = [name if name in given else "" for name in order]
    node = helper.make_node(case["kind"], names, outputs, hidden_size=H, **case["attributes"])
    graph = helper.make_graph(
        [node],
        "one operator",
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, array.shape) for name, array in given.items()],
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, None) for name in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])
    results = ReferenceEvaluator(model).run(None, given)
    return {name: np.ravel(result).tolist() for name, result in zip(outputs, results, strict=True)}


def generate() -> dict[str, Any]:
    """Run ONNX's reference evaluator on all cases."""
    import onnx

    versions = {"python": sys.version.split()[0], "onnx": onnx.__version__, "numpy": np.__version__}
    return {"versions": versions, "cases": [case | by_onnx(case) for case in cases()]}


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(generate(), separators=(",", ":")).replace('{"kind"', '\n{"kind"') + "\n")
