"""Write tests/data/torch_trajectories.json: what torch's optimisers and clipping do, for test_optim.py to hold ours to.

Needs torch; the file says which version wrote it.

    python tests/torch_trajectories.py
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).parent / "data" / "torch_trajectories.json"
STEPS = 20
SHAPES = ((2, 3), (4,))

OPTIMIZERS: dict[str, list[dict[str, Any]]] = {
    "SGD": [
        {"lr": 0.1},
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.3},
        {"lr": 0.05, "momentum": 0.8, "nesterov": True},
        {"lr": 0.1, "weight_decay": 0.2},
        {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    ],
    "Adam": [
        {},
        {"lr": 0.1},
        {"lr": 0.1, "betas": [0.7, 0.95], "eps": 1e-3},
        {"lr": 0.1, "weight_decay": 0.3},
        {"lr": 0.1, "amsgrad": True, "betas": [0.9, 0.5]},
    ],
    "AdamW": [
        {},
        {"lr": 0.1},
        {"lr": 0.1, "weight_decay": 0.5},
        {"lr": 0.1, "weight_decay": 0.2, "amsgrad": True, "betas": [0.9, 0.5]},
    ],
    "RMSprop": [
        {},
        {"lr": 0.05, "alpha": 0.8},
        {"lr": 0.05, "momentum": 0.7},
        {"lr": 0.05, "centered": True},
        {"lr": 0.02, "alpha": 0.9, "momentum": 0.9, "centered": True, "weight_decay": 0.2, "eps": 1e-4},
    ],
}
CLIPPINGS: list[dict[str, float]] = [
    {"max_norm": max_norm, "norm_type": norm_type}
    for max_norm in (0.0, 0.5, 3.0, 1e6)
    for norm_type in (1.0, 2.0, 3.5, math.inf)
]


def start() -> list[NDArray[np.float64]]:
    """The parameters before the first update."""
    rng = np.random.default_rng(7)
    return [rng.normal(size=shape) for shape in SHAPES]


def gradient(theta: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """A gradient that depends on the parameter and on the step, and changes sign and size."""
    return np.asarray(np.cos(3 * theta + step) * (1 + step % 4) + 0.5 * theta)


def generate() -> dict[str, Any]:
    """Run torch."""
    import torch

    trajectories = []
    for name, cases in OPTIMIZERS.items():
        for options in cases:
            parameters = [torch.nn.Parameter(torch.tensor(theta)) for theta in start()]
            optimizer = getattr(torch.optim, name)(parameters, **options)
            path = []
            for step in range(STEPS):
                for parameter in parameters:
                    parameter.grad = torch.tensor(gradient(parameter.detach().numpy(), step))
                optimizer.step()
                path.append([number for p in parameters for number in p.detach().numpy().ravel().tolist()])
            trajectories.append({"optimizer": name, "options": options, "path": path})
    clippings = []
    for options in CLIPPINGS:
        parameters = [torch.nn.Parameter(torch.tensor(theta)) for theta in start()]
        for parameter in parameters:
            parameter.grad = torch.tensor(gradient(parameter.detach().numpy(), 1))
        total = torch.nn.utils.clip_grad_norm_(parameters, **options).item()
        clipped = [number for p in parameters for number in p.grad.numpy().ravel().tolist()]
        clippings.append({"options": options, "norm": total, "gradients": clipped})
    versions = {"python": sys.version.split()[0], "torch": torch.__version__, "numpy": np.__version__}
    return {"versions": versions, "trajectories": trajectories, "clippings": clippings}


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(generate(), indent=None, separators=(",", ":")).replace('{"optimizer"', '\n{"optimizer"') + "\n")
