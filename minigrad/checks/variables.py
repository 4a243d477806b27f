"""Gradients that are variables of the user's functions alone, read where those return.

An optimiser that makes its memory when it first steps, as Adam often does, moves every weight by one size: the steps show no
more than signs. What the backward pass calls ``dW`` is the gradient then, if it has the signs of the steps.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.checks import names
from minigrad.checks.returned import Answer
from minigrad.checks.tracing import noticing, reachable
from minigrad.guard import Array

if TYPE_CHECKING:
    from minigrad.checks.adapter import Adapter

__all__ = ["as_variables", "variables_of"]

ALIKE = 0.8
"""So many of the entries of a gradient have the sign of the step."""


@contextmanager
def variables_of(adapter: Adapter) -> Iterator[dict[str, Array]]:
    """The gradients among the variables of the user's functions where they return meanwhile; the last ones of a name."""
    found: dict[str, Array] = {}
    if not adapter.by_variables:
        yield found
        return
    files = {function.__code__.co_filename for function in reachable(adapter.users())}
    told: Any = sys.getprofile()

    def noticed(frame: FrameType, event: str, argument: Any) -> None:
        if event == "return" and frame.f_code.co_filename in files:
            found.update(_gradients(frame.f_locals))
        if callable(told):
            told(frame, event, argument)

    with noticing(noticed):
        yield found


def _gradients(variables: Mapping[str, Any]) -> Iterator[tuple[str, Array]]:
    """The arrays that are called gradients, and those in dicts that are."""
    for name, value in list(variables.items()):
        parts = {name: value} if names.is_gradient(name) else {}
        if isinstance(value, dict) and names.says_gradient(name):
            parts = {key if names.is_gradient(key) else f"d{key}": part for key, part in value.items() if isinstance(key, str)}
        for called, part in parts.items():
            if isinstance(part, np.ndarray) and part.dtype.kind == "f":
                yield called, np.array(part)


def as_variables(answer: Answer, variables: Mapping[str, Array]) -> Answer:
    """The answer with gradients that are variables in the place of steps; as it is, unless all are there with their signs."""
    ends = {name.rsplit(".", 1)[-1]: name for name in answer.moved}
    stems = {names.stem(name): name for name in variables}

    def fits(stem: str, end: str) -> bool:
        return variables[stems[stem]].shape == answer.gradients[ends[end]].shape

    found = {ends[end]: stems[stem] for stem, end in names.match(stems, [*ends], fits).items()}
    found = {what: name for what, name in found.items() if _has_signs(variables[name], answer.gradients[what])}
    if not found or len(found) < len(answer.moved):
        return answer
    read = {what: variables[name] for what, name in found.items()}
    return answer._replace(gradients=answer.gradients | read, called={**answer.called, **found}, moved=())


def _has_signs(gradient: Array, step: Array) -> bool:
    return bool(np.mean(np.sign(gradient) == np.sign(step)) > ALIKE) if step.size else True
