"""Write tests/data/keras_recurrent.json: outputs, states and gradients of Keras' recurrent layers, to hold ours to.

Needs keras with torch as its backend; the file says which versions wrote it. Weights and inputs are not stored, both
sides draw them here.

    KERAS_BACKEND=torch python tests/keras_recurrent.py
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).parent.parent / "data" / "keras_recurrent.json"
T, B = 5, 2
GATES = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}
Weights = list[dict[str, np.ndarray]]


def cases() -> list[dict[str, Any]]:
    """All cases, without their numbers."""
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("SimpleRNN", {}),
        ("SimpleRNN", {"activation": "relu"}),
        ("GRU", {"reset_after": True}),
        ("GRU", {"reset_after": False}),
        ("LSTM", {}),
    ]
    return [
        {"kind": kind, "options": {**options, "use_bias": use_bias}, "units": units, "bidirectional": bidirectional}
        for kind, options in kinds
        for use_bias in (True, False)
        for units, bidirectional in (([3], False), ([3, 2], False), ([2], True))
    ]


def weights(case: dict[str, Any]) -> Weights:
    """The parameters of every layer and direction under Keras' names."""
    rng = np.random.default_rng([3, *case["units"]])
    gates, D, drawn = GATES[case["kind"]], 3, []
    for H in case["units"]:
        for _ in range(1 + case["bidirectional"]):
            own = {
                "kernel": rng.normal(size=(D, gates * H)),
                "recurrent_kernel": rng.normal(size=(H, gates * H)),
            }
            if case["options"]["use_bias"]:
                two = (2,) if case["options"].get("reset_after") else ()
                own["bias"] = rng.normal(size=(*two, gates * H))
            drawn.append(own)
        D = H * (1 + case["bidirectional"])
    return drawn


def inputs(case: dict[str, Any]) -> dict[str, np.ndarray]:
    """xs (T, B, 3), and the upstream gradients of outputs and of each layer's and direction's final h."""
    rng = np.random.default_rng(4)
    directions = 1 + case["bidirectional"]
    drawn = {"xs": rng.normal(size=(T, B, 3)), "d_hs": rng.normal(size=(T, B, case["units"][-1] * directions))}
    return drawn | {f"d_h{n}": rng.normal(size=(B, H)) for n, H in enumerate(np.repeat(case["units"], directions))}


def by_keras(case: dict[str, Any]) -> dict[str, Any]:
    """Outputs, final states and gradients by Keras; the batch comes first there."""
    import keras
    import torch

    given, directions = inputs(case), 1 + case["bidirectional"]
    xs = torch.tensor(given["xs"]).requires_grad_()
    y, parameters, finals = xs.transpose(0, 1), [], []
    drawn = iter(weights(case))
    for H in case["units"]:
        layer = getattr(keras.layers, case["kind"])(H, return_sequences=True, return_state=True, **case["options"])
        layer = keras.layers.Bidirectional(layer) if case["bidirectional"] else layer
        layer.build(tuple(y.shape))
        layer.set_weights([array for _ in range(directions) for array in next(drawn).values()])
        y, *states = layer(y)
        finals += states[:: len(states) // directions]
        parameters += [variable.value for variable in layer.weights]
    hs = y.transpose(0, 1)
    loss = (hs * torch.tensor(given["d_hs"])).sum()
    loss = loss + sum((h * torch.tensor(given[f"d_h{n}"])).sum() for n, h in enumerate(finals))
    loss.backward()
    return {
        "hs": hs.detach().numpy().ravel().tolist(),
        "finals": [h.detach().numpy().ravel().tolist() for h in finals],
        "d_xs": xs.grad.numpy().ravel().tolist(),
        "gradients": [parameter.grad.numpy().ravel().tolist() for parameter in parameters],
    }


def generate() -> dict[str, Any]:
    """Run Keras on all cases, with what makes its matrix products float32 switched off."""
    import keras
    import torch
    from keras.src.backend.common import dtypes

    keras.config.set_floatx("float64")
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    versions = {"python": sys.version.split()[0], "keras": keras.__version__, "torch": torch.__version__}
    return {"versions": versions | {"numpy": np.__version__}, "cases": [case | by_keras(case) for case in cases()]}


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(generate(), separators=(",", ":")).replace('{"kind"', '\n{"kind"') + "\n")
