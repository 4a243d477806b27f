"""Recurrences written as a loop in Python, with parameters of its own and a disturbance of its own for every step.

What a parameter is sent through its use at step k is the gradient by its k-th copy; what a state is sent in all is the
gradient by the zeros that are added to it. Both are as well what perturbing them does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad import Tensor, pytree

__all__ = ["Steps", "numerical", "own_layers", "own_steps"]


class Steps(NamedTuple):
    """The outputs (T, B, H), and for each step t = 1 … T at t − 1: copies of the parameters, what is added to the new state,
    and what that is then."""

    hs: Tensor
    copies: list[dict[str, Tensor]]
    added: list[list[Tensor]]
    states: list[list[Tensor]]


def own_steps(
    cell: Any,
    xs: Any,
    valid: Any = None,
    reverse: bool = False,
    truncated: int | None = None,
    copies: list[dict[str, Any]] | None = None,
    added: list[list[Any]] | None = None,
) -> Steps:
    """The loop. Where a step of an example is not ``valid`` it keeps its state, its output is 0, and no step is counted."""
    T, B = xs.shape[:2]
    valid = np.ones((T, B), bool) if valid is None else np.asarray(valid)
    named, start = dict(cell.named_parameters()), cell.initial_state(B)
    sizes = [part.shape for part in pytree.ends(start)]
    copies = copies or [{n: Tensor(p.numpy(), requires_grad=True) for n, p in named.items()} for _ in range(T)]
    added = added or [[Tensor(np.zeros(size), requires_grad=True) for size in sizes] for _ in range(T)]
    parts, counted, hs = pytree.ends(start), np.zeros(B, int), [Tensor(0.0)] * T
    states: list[list[Tensor]] = [[] for _ in range(T)]
    for t in reversed(range(T)) if reverse else range(T):
        taken = valid[t][:, None]
        if truncated is not None:
            cut = (valid[t] & (counted > 0) & (counted % truncated == 0))[:, None]
            parts = [mg.where(cut, part.detach(), part) for part in parts]
        for name, copy in copies[t].items():
            object.__setattr__(cell, name, copy)
        new = pytree.ends(cell.step(xs[t], pytree.rebuilt(start, parts)))
        new = [part + more for part, more in zip(new, added[t], strict=True)]
        states[t] = new
        hs[t] = mg.where(taken, new[-1], 0.0)
        parts = [mg.where(taken, part, old) for part, old in zip(new, parts, strict=True)]
        counted = counted + valid[t]
    for name, parameter in named.items():
        object.__setattr__(cell, name, parameter)
    return Steps(mg.stack(hs), copies, added, states)


def own_layers(layers: Any, xs: Any, valid: Any = None) -> tuple[Tensor, list[Steps]]:
    """Layers above each other, each of one direction or of two side by side: the outputs, and the steps of each cell."""
    found = []
    for cells in layers.cells:
        steps = [own_steps(cell, xs, valid, reverse=bool(k)) for k, cell in enumerate(cells)]
        xs = mg.concatenate([one.hs for one in steps], axis=2) if len(steps) > 1 else steps[0].hs
        found += steps
    return xs, found


def numerical(function: Any, array: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """The gradient of a function of an array by central differences: an axis for each of the array's, in front."""
    found = []
    for index in np.ndindex(array.shape):
        there, back = array.copy(), array.copy()
        there[index] += step
        back[index] -= step
        found.append((function(there) - function(back)) / (2 * step))
    return np.array(found).reshape(*array.shape, *np.shape(found[0]))
