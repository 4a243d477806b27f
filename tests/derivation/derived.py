"""Runs the NumPy source of a derivation, and holds it against autograd of the same cell."""

import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad import Derivation, Tensor


def module_of(source: str) -> types.ModuleType:
    """The program as a module."""
    module = types.ModuleType("derived")
    exec(compile(source, "derived", "exec"), module.__dict__)
    return module


class Problem(NamedTuple):
    """A random sequence for a cell, with a loss at every step and at the last state, and all gradients by autograd."""

    params: dict[str, np.ndarray]
    xs: np.ndarray
    state: list[np.ndarray]
    d_hs: np.ndarray
    d_state: list[np.ndarray]
    expected: dict[str, np.ndarray]


def problem(cell: Any, derivation: Derivation, T: int, B: int, D: int, seed: int = 0) -> Problem:
    rng = np.random.default_rng(seed)
    xs = Tensor(rng.normal(size=(T, B, D)), requires_grad=True)
    state = mg.pytree.mapped(
        lambda part: Tensor(rng.normal(size=part.shape), requires_grad=True), cell.initial_state(B)
    )
    last, outputs = state, []
    for x in xs:
        last = cell.step(x, last)
        outputs.append(mg.pytree.ends(last)[-1])
    hs = mg.stack(outputs)
    parts, old = mg.pytree.ends(last), mg.pytree.ends(state)
    d_hs, d_state = rng.normal(size=hs.shape), [rng.normal(size=part.shape) for part in parts]
    loss = (hs * d_hs).sum() + sum((part * d).sum() for part, d in zip(parts, d_state, strict=True))
    weights = dict(parameters(cell))
    leaves = [*weights.values(), xs, *old]
    gradients = [g.numpy() for g in mg.grad(loss, leaves)]
    params, expected = {}, {"hs": hs.numpy(), "xs": gradients[len(weights)]}
    keys = {parameter.key for parameter in derivation.parameters}
    for (name, weight), gradient in zip(weights.items(), gradients, strict=False):
        blocks = getattr(cell, "blocks", {}).get(name, {})
        for part, index in (blocks if keys & set(blocks) else {name: ...}).items():
            params[part], expected[part] = weight.numpy()[index], gradient[index]
    for number, gradient in enumerate(gradients[len(weights) + 1 :]):
        expected[f"state {number}"] = gradient
    return Problem(params | derivation.constants, xs.numpy(), [part.numpy() for part in old], d_hs, d_state, expected)


def parameters(cell: Any) -> Iterator[tuple[str, Tensor]]:
    """The weights of a cell by the names of its attributes."""
    if isinstance(cell, mg.Module):
        yield from cell.named_parameters()
    else:
        yield from ((name, value) for name, value in vars(cell).items() if isinstance(value, Tensor) and value.requires_grad)


def computed(module: Any, given: Problem) -> dict[str, np.ndarray]:
    """What the program gives."""

    def alone(parts: list[np.ndarray]) -> Any:
        return parts[0] if len(parts) == 1 else tuple(parts)

    trace = module.forward(given.params, given.xs, alone(given.state))
    gradients = module.backward(given.params, trace, given.d_hs, alone(given.d_state))
    found = {"hs": trace.hs, "xs": gradients.xs} | gradients.params
    states = [gradients.state] if len(given.state) == 1 else gradients.state
    return found | {f"state {number}": part for number, part in enumerate(states)}


def worst(cell: Any, derivation: Derivation, *sizes: int, change: Callable[[str], str] = str) -> float:
    """The largest relative difference from autograd, of outputs and gradients."""
    given = problem(cell, derivation, *sizes)
    found = computed(module_of(change(derivation.numpy())), given)
    assert found.keys() == given.expected.keys()
    differences, largest = [], max(np.abs(expected).max(initial=0) for expected in given.expected.values())
    for name, expected in given.expected.items():
        assert np.shape(found[name]) == expected.shape, name
        scale = max(np.abs(expected).max(initial=0), 1e-6 * largest, 1e-300)
        differences.append(np.abs(found[name] - expected).max(initial=0) / scale)
    return float(max(differences))
