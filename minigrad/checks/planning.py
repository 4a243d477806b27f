"""What each parameter of a backward pass is given: the gradient of an output, a cache, an argument."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from minigrad.checks import names
from minigrad.checks.adapter import Adapter, Traces, name_of
from minigrad.checks.rates import RATE
from minigrad.checks.tracing import in_double_precision, replaced
from minigrad.errors import ArgumentError

__all__ = ["plan_of"]


def plan_of(adapter: Adapter, traces: Traces) -> dict[str, tuple[str, Any]]:
    """For each parameter of the backward pass, what it is given.

    Raises:
        ArgumentError: it cannot be told; the message asks, and says how to answer.
    """
    parameters = names.parameters_of(adapter.backward)
    with replaced(adapter.users(), in_double_precision):
        arguments = adapter.filled(lambda leaf: np.array(leaf.value, float))
        made = adapter.made(arguments)
    plain = adapter.outputs_of(made, arguments)
    caches = [name for name in plain if name not in traces.outputs]
    parts = _parts(adapter, plain)
    plan: dict[str, tuple[str, Any]] = {}
    waiting: list[str] = []
    for k, (name, parameter) in enumerate(parameters.items()):
        if name in adapter.declared_upstream:
            declared = adapter.declared_upstream[name]
            wanted = isinstance(declared, str) and declared in traces.outputs and not (
                _is_called(name, declared)
                or _beside_its_gradient(name, adapter.declared_upstream)
                or _beside_a_loss(name, declared, traces)
            )
            kind = "upstream" if wanted else "output" if isinstance(declared, str) and declared in plain else "argument"
            if not isinstance(declared, str):
                kind = "rate" if RATE.match(name) else "value"
            elif kind == "argument" and declared not in adapter.sources():
                raise ArgumentError(
                    f"check_backward: upstream={{{name!r}: {declared!r}}}: expected one of the outputs "
                    f"{sorted(plain)} or of the arguments {sorted(adapter.sources())}"
                )
            plan[name] = (kind, declared)
        elif (
            k == 0
            and adapter.owner is not None
            and isinstance(adapter.backward, type(adapter.forward))
            and name == adapter.owner
        ) or name in adapter.arguments:
            plan[name] = ("argument", name)
        elif name in plain and not names.is_upstream(name):
            plan[name] = ("output", name)
        elif name in {leaf.name for leaf in adapter.leaves}:
            plan[name] = ("leaf", name)
        elif RATE.match(name):
            plan[name] = ("rate", 1.0)
        elif names.is_cache(name) and hasattr(made, "_fields"):
            plan[name] = ("whole", name)
        elif names.is_cache(name) and len(caches) == 1:
            plan[name] = ("output", caches[0])
        elif name in parts and (not names.is_upstream(name) or any(other in parts for other in parameters if other != name)):
            plan[name] = ("part", parts[name])
        elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        else:
            waiting.append(name)
    needed = [name for name in waiting if parameters[name].default is inspect.Parameter.empty]
    _plan_upstream(waiting, needed, traces, plan, caches)
    for name in needed:
        if name not in plan:
            raise ArgumentError(
                f"check_backward: what is {name!r}, a parameter of {name_of(adapter.backward)}? The gradient of one of the "
                f"outputs {sorted(traces.outputs)}, or one of the forward pass's values {sorted(plain)} or arguments "
                f"{sorted(adapter.sources())}? Say so: upstream={{{name!r}: 'its name'}}{_of_a_loss(name)}"
            )
    return plan


def _is_called(name: str, output: Any) -> bool:
    """Whether a parameter has the name of an output, and so wants that and not its gradient."""
    return isinstance(output, str) and not _for_a_gradient(name) and bool(names.match([name], [output], lambda a, b: True))


def _beside_its_gradient(name: str, declared: dict[str, Any]) -> bool:
    """Whether a parameter wants an output and not its gradient: another, called as a gradient is, is declared to want that."""
    return not _for_a_gradient(name) and any(
        _for_a_gradient(other) for other, what in declared.items() if other != name and what == declared[name]
    )


def _beside_a_loss(name: str, declared: str, traces: Traces) -> bool:
    """Whether a parameter wants an output and not its gradient: it is not called as one is, and what arrives is a loss's."""
    losses = [other for other, line in traces.outputs.items() if not isinstance(line, list) and not line.value.ndim]
    return bool(losses) and declared not in losses and not _for_a_gradient(name) and not names.says_gradient(name)


def _of_a_loss(name: str) -> str:
    """What is said of what looks like the target of a loss that the forward pass does not have."""
    if not names.is_target(name):
        return ""
    return (
        f". If {name} is the target of a loss, give as forward a function of {name} too that returns the loss, since the "
        f"gradients are those of it: lambda …, {name}: (loss of forward(…) and {name}, what else backward wants)"
    )


def _for_a_gradient(name: str) -> bool:
    return names.is_upstream(name) or names.is_gradient(name)


def _parts(adapter: Adapter, plain: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """What stands in tuples and lists that the forward pass returns, ``(i, f, g, o)``: where it is, by name."""
    found: dict[str, tuple[str, int]] = {}
    for (label, value), inside in zip(plain.items(), names.names_inside(adapter.forward), strict=False):
        if isinstance(value, tuple | list) and len(value) == len(inside):
            found |= {name: (label, k) for k, name in enumerate(inside) if name is not None and name not in plain}
    return found


def _plan_upstream(
    waiting: list[str], needed: list[str], traces: Traces, plan: dict[str, tuple[str, Any]], caches: list[str]
) -> None:
    """Which of the parameters that wait are gradients of outputs; and the one that is ``needed`` beside is the cache."""
    taken = {what for kind, what in plan.values() if kind == "upstream"}
    free = [name for name in traces.outputs if name not in taken]
    gradients = {
        names.stem(name): name
        for name in waiting
        if names.is_gradient(name) and (not names.is_upstream(name) or names.match([names.stem(name)], free, lambda a, b: True))
    }
    for short, output in names.match(gradients, free, lambda a, b: True).items():
        plan[gradients[short]] = ("upstream", output)
        free.remove(output)
    left = [name for name in waiting if name not in plan]
    general = [name for name in left if _for_a_gradient(name)]
    if not general and len(left) == 1 and names.is_arriving(left[0]):
        general = left
    if len(general) == 1 and len(free) == 1:
        plan[general[0]] = ("upstream", free[0])
    left = [name for name in needed if name not in plan]
    free_caches = [name for name in caches if name not in {what for kind, what in plan.values() if kind == "output"}]
    if len(left) == 1 and len(free_caches) == 1 and not names.is_gradient(left[0]):
        plan[left[0]] = ("output", free_caches[0])
