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

FILE = Path(__file__).parent.parent / "data" / "torch_trajectories.json"
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
        {"lr": 0.05, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1, "maximize": True},
        {"lr": 0.0, "momentum": 0.9},
    ],
    "Adam": [
        {},
        {"lr": 0.1},
        {"lr": 0.1, "betas": [0.7, 0.95], "eps": 1e-3},
        {"lr": 0.1, "weight_decay": 0.3},
        {"lr": 0.1, "amsgrad": True, "betas": [0.9, 0.5]},
        {"lr": 0.1, "betas": [0.0, 0.0]},
        {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True, "maximize": True},
        {"lr": 0.0},
    ],
    "AdamW": [
        {},
        {"lr": 0.1},
        {"lr": 0.1, "weight_decay": 0.5},
        {"lr": 0.1, "weight_decay": 0.2, "amsgrad": True, "betas": [0.9, 0.5]},
        {"lr": 0.1, "weight_decay": 0.2, "maximize": True},
        {"lr": 0.1, "weight_decay": 0.0, "eps": 0.1},
    ],
    "RMSprop": [
        {},
        {"lr": 0.05, "alpha": 0.8},
        {"lr": 0.05, "momentum": 0.7},
        {"lr": 0.05, "centered": True},
        {"lr": 0.02, "alpha": 0.9, "momentum": 0.9, "centered": True, "weight_decay": 0.2, "eps": 1e-4},
        {"lr": 0.02, "alpha": 0.9, "momentum": 0.5, "weight_decay": 0.2, "maximize": True},
    ],
    "Adagrad": [
        {},
        {"lr": 0.5, "lr_decay": 0.2},
        {"lr": 0.1, "initial_accumulator_value": 0.3, "eps": 1e-3},
        {"lr": 0.1, "weight_decay": 0.4, "maximize": True},
    ],
}
CIRCUMSTANCES: list[dict[str, Any]] = [
    {"dtype": "float32", "optimizer": "SGD", "options": {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}},
    {"dtype": "float32", "optimizer": "Adam", "options": {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True}},
    {"dtype": "float32", "optimizer": "AdamW", "options": {"lr": 0.1, "weight_decay": 0.5}},
    {"dtype": "float32", "optimizer": "RMSprop", "options": {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.2}},
    {"dtype": "float32", "optimizer": "Adagrad", "options": {"lr": 0.1, "lr_decay": 0.1}},
    {"every_third": True, "optimizer": "SGD", "options": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}},
    {"every_third": True, "optimizer": "Adam", "options": {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True}},
    {"every_third": True, "optimizer": "AdamW", "options": {"lr": 0.1, "weight_decay": 0.5}},
    {"every_third": True, "optimizer": "RMSprop", "options": {"lr": 0.02, "momentum": 0.9, "centered": True}},
]
"""Parameters in float32; and a second parameter that has a gradient at every third step only, None at the others."""

SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("StepLR", {"step_size": 3}),
    ("StepLR", {"step_size": 1, "gamma": 0.7}),
    ("MultiStepLR", {"milestones": [2, 5, 5, 11], "gamma": 0.5}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("CosineAnnealingLR", {"T_max": 7}),
    ("CosineAnnealingLR", {"T_max": 30, "eta_min": 0.01}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.5, "total_iters": 9}),
]
BESIDE: list[list[tuple[str, dict[str, Any]]]] = [
    [("LinearLR", {"start_factor": 0.1, "total_iters": 6}), ("ExponentialLR", {"gamma": 0.9})],
    [("StepLR", {"step_size": 4}), ("CosineAnnealingLR", {"T_max": 30})],
    [("MultiStepLR", {"milestones": [3, 9]}), ("LinearLR", {"total_iters": 8}), ("StepLR", {"step_size": 5, "gamma": 0.7})],
    [("CosineAnnealingLR", {"T_max": 30, "eta_min": 0.01})],
]
"""Schedules stepped side by side; the learning rate is set by hand to 0.2 after the eighth step."""

WATCHED = [3.0, 2.0, 2.0, 1.9999, 2.1, 1.5, 1.5, 1.5, 1.4, 1.6, 1.6, math.nan, 1.6, 1.6, 1.6, 1.3, 1.3, 1.3, 1.3, 1.3]
PLATEAUS: list[dict[str, Any]] = [
    {"patience": 1},
    {"patience": 0, "factor": 0.5, "min_lr": 0.05},
    {"patience": 1, "threshold": 0.2, "threshold_mode": "abs", "cooldown": 2},
    {"patience": 2, "mode": "max", "factor": 0.7},
]
GROUPS: list[tuple[str, dict[str, Any], list[dict[str, Any]]]] = [
    ("SGD", {"lr": 0.1, "momentum": 0.9}, [{}, {"lr": 0.02, "momentum": 0.5, "nesterov": True}]),
    ("Adam", {"lr": 0.1}, [{"betas": [0.7, 0.95]}, {"amsgrad": True, "weight_decay": 0.3}]),
    ("AdamW", {"lr": 0.1}, [{"weight_decay": 0.0}, {"weight_decay": 0.5, "maximize": True}]),
    ("RMSprop", {"lr": 0.02}, [{"alpha": 0.8, "centered": True}, {"momentum": 0.5}]),
    ("Adagrad", {"lr": 0.2}, [{"lr_decay": 0.1}, {"lr": 0.5, "eps": 0.1}]),
]
"""One group for each of the two parameters, under a StepLR of step_size 5 and γ = 0.5."""

CLIPPINGS: list[dict[str, float]] = [
    {"max_norm": max_norm, "norm_type": norm_type}
    for max_norm in (0.0, 0.5, 3.0, 1e6)
    for norm_type in (0.5, 1.0, 2.0, 3.5, math.inf)
]
CLIP_VALUES = [0.0, 0.3, 1.5, 100.0]


def start() -> list[NDArray[np.float64]]:
    """The parameters before the first update."""
    rng = np.random.default_rng(7)
    return [rng.normal(size=shape) for shape in SHAPES]


def gradient(theta: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """A gradient that depends on the parameter and on the step, and changes sign and size."""
    return np.asarray(np.cos(3 * theta + step) * (1 + step % 4) + 0.5 * theta)


def cases() -> list[dict[str, Any]]:
    """Every trajectory, without its numbers."""
    plain = [{"optimizer": name, "options": options} for name, many in OPTIMIZERS.items() for options in many]
    return [{"dtype": "float64", "every_third": False} | case for case in plain + CIRCUMSTANCES]


def has_gradient(case: dict[str, Any], number: int, step: int) -> bool:
    """Whether parameter ``number`` has a gradient at a step."""
    return not (case["every_third"] and number == 1 and step % 3)


def trajectory(torch: Any, case: dict[str, Any]) -> list[list[float]]:
    """All parameters after each of the updates."""
    parameters = [torch.nn.Parameter(torch.tensor(theta.astype(case["dtype"]))) for theta in start()]
    optimizer = getattr(torch.optim, case["optimizer"])(parameters, **case["options"])
    path = []
    for step in range(STEPS):
        for number, parameter in enumerate(parameters):
            g = gradient(parameter.detach().numpy(), step)
            parameter.grad = torch.tensor(g) if has_gradient(case, number, step) else None
        optimizer.step()
        path.append([value for p in parameters for value in p.detach().numpy().ravel().tolist()])
    return path


def clipped(torch: Any, clip: Any) -> tuple[Any, list[float]]:
    """What a clipping function returns, and all gradients after it."""
    parameters = [torch.nn.Parameter(torch.tensor(theta)) for theta in start()]
    for parameter in parameters:
        parameter.grad = torch.tensor(gradient(parameter.detach().numpy(), 1))
    result = clip(parameters)
    return result, [value for p in parameters for value in p.grad.numpy().ravel().tolist()]


def scheduled(torch: Any, name: str, options: dict[str, Any]) -> list[float]:
    """The learning rate before each step of a schedule."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    schedule = getattr(torch.optim.lr_scheduler, name)(optimizer, **options)
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def beside(torch: Any, several: list[tuple[str, dict[str, Any]]]) -> list[float]:
    """The learning rate before each step of several schedules, set by hand once."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    schedules = [getattr(torch.optim.lr_scheduler, name)(optimizer, **options) for name, options in several]
    rates = []
    for step in range(STEPS):
        if step == 8:
            optimizer.param_groups[0]["lr"] = 0.2
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for schedule in schedules:
            schedule.step()
    return rates


def plateau(torch: Any, options: dict[str, Any]) -> list[float]:
    """The learning rate after each number watched."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
    rates = []
    for value in WATCHED:
        schedule.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def in_groups(torch: Any, name: str, options: dict[str, Any], groups: list[dict[str, Any]]) -> list[list[float]]:
    """All parameters after each of the updates, each in a group of its own, with a schedule."""
    parameters = [torch.nn.Parameter(torch.tensor(theta)) for theta in start()]
    given = [{"params": [p], **group} for p, group in zip(parameters, groups, strict=True)]
    optimizer = getattr(torch.optim, name)(given, **options)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=5, gamma=0.5)
    path = []
    for step in range(STEPS):
        for parameter in parameters:
            parameter.grad = torch.tensor(gradient(parameter.detach().numpy(), step))
        optimizer.step()
        schedule.step()
        path.append([value for p in parameters for value in p.detach().numpy().ravel().tolist()])
    return path


def generate() -> dict[str, Any]:
    """Run torch."""
    import torch

    clippings = []
    for options in CLIPPINGS:
        total, gradients = clipped(torch, lambda p, options=options: torch.nn.utils.clip_grad_norm_(p, **options).item())
        clippings.append({"options": options, "norm": total, "gradients": gradients})
    values = []
    for limit in CLIP_VALUES:
        _, gradients = clipped(torch, lambda p, limit=limit: torch.nn.utils.clip_grad_value_(p, limit))
        values.append({"clip_value": limit, "gradients": gradients})
    return {
        "versions": {"python": sys.version.split()[0], "torch": torch.__version__, "numpy": np.__version__},
        "trajectories": [case | {"path": trajectory(torch, case)} for case in cases()],
        "clippings": clippings,
        "clip_values": values,
        "schedules": [{"name": n, "options": options, "rates": scheduled(torch, n, options)} for n, options in SCHEDULES],
        "beside": [{"schedules": several, "rates": beside(torch, several)} for several in BESIDE],
        "plateaus": [{"options": options, "rates": plateau(torch, options)} for options in PLATEAUS],
        "groups": [
            {"optimizer": n, "options": options, "groups": groups, "path": in_groups(torch, n, options, groups)}
            for n, options, groups in GROUPS
        ],
    }


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(generate(), indent=None, separators=(",", ":")).replace(']},', ']},\n') + "\n")
