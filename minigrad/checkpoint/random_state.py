"""The random numbers a model will draw next: the states of its generators, as JSON can hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad.module import Module, parts_of

__all__ = ["bad_random_state", "random_state", "set_random_state"]

_WORDS = {"uint32": np.uint32, "uint64": np.uint64}


def random_state(model: Module) -> dict[str, Any]:
    """The state of every ``numpy.random.Generator`` in the model, by its path.

    >>> class Noise(Module):
    ...     def __init__(self):
    ...         self.rng = np.random.default_rng(0)
    >>> random_state(Noise())["rng"]["bit_generator"]
    'PCG64'
    """
    return {path: _as_json(generator.bit_generator.state) for path, generator in _generators(model).items()}


def bad_random_state(model: Module, saved: Mapping[str, Any]) -> list[str]:
    """Why `set_random_state` could not be called with these."""
    own = _generators(model)
    problems = [f"the random state of {path} is missing" for path in own.keys() - saved.keys()]
    problems += [f"the random state of {path} does not belong here" for path in saved.keys() - own.keys()]
    for path in own.keys() & saved.keys():
        fresh = type(own[path].bit_generator)(0)
        try:
            fresh.state = _from_json(saved[path])
        except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as problem:
            problems.append(f"the random state of {path} cannot be used ({problem})")
        else:
            if _as_json(fresh.state) != saved[path]:
                problems.append(f"the random state of {path} is not one of a {type(fresh).__name__}")
    return problems


def set_random_state(model: Module, saved: Mapping[str, Any]) -> None:
    """Go on drawing as the model that `random_state` was asked of, for states without problems."""
    for path, generator in _generators(model).items():
        generator.bit_generator.state = _from_json(saved[path])


def _generators(model: Module) -> dict[str, np.random.Generator]:
    return {path: part for path, part in parts_of(model) if isinstance(part, np.random.Generator)}


def _as_json(state: Any) -> Any:
    if isinstance(state, np.ndarray):
        return {"dtype": state.dtype.name, "values": state.tolist()}
    return {key: _as_json(value) for key, value in state.items()} if isinstance(state, Mapping) else state


def _from_json(state: Any) -> Any:
    if not isinstance(state, dict):
        return state
    if state.keys() == {"dtype", "values"}:
        return np.array(state["values"], _WORDS[state["dtype"]])
    return {key: _from_json(value) for key, value in state.items()}
