"""One step of a recurrence, whatever form it was given in: a cell, or a function of the carry and the input.

A cell is any object with ``step(x, state)`` and ``initial_state(batch)``; a function is what `minigrad.scan` takes,
``step(carry, x)``, and returns the new carry and an output, or the new carry alone.
"""

from __future__ import annotations

import dis
import functools
import re
from collections.abc import Callable
from itertools import pairwise, takewhile
from types import CodeType
from typing import Any

from minigrad import pytree
from minigrad.errors import ArgumentError, DTypeError
from minigrad.tensor import Tensor

__all__ = ["PREVIOUS", "argument_names", "code_of", "field_of", "is_cell", "part_names", "step_of", "tensors_of"]


def is_cell(cell_or_step: Any) -> bool:
    """Whether it is a cell, with a state of its own making, and not a function.

    >>> is_cell(lambda carry, x: carry + x)
    False
    """
    return hasattr(cell_or_step, "step") and hasattr(cell_or_step, "initial_state")


def step_of(cell_or_step: Any, where: str) -> Callable[[Any, Any], tuple[Any, Any]]:
    """The step as `minigrad.scan` takes it: from the carry and x to the new carry and an output.

    The output of a cell, and of a function that returns the carry alone, is the last part of the new carry.

    Raises:
        DTypeError: it is neither a cell nor a function.
        ArgumentError: from the step, where it returns something else than a carry like the old one, alone or in a pair.

    >>> carry, y = step_of(lambda h, x: 2 * h + x, "here")(Tensor(1.0), Tensor(3.0))
    >>> carry.item(), y.item()
    (5.0, 5.0)
    """
    if is_cell(cell_or_step):
        function: Callable[[Any, Any], Any] = lambda carry, x: cell_or_step.step(x, carry)  # noqa: E731
    elif callable(cell_or_step):
        function = cell_or_step
    else:
        raise DTypeError(
            f"{where}: expected a cell (an object with step(x, state) and initial_state(batch)) or a function "
            f"step(carry, x), got {cell_or_step!r:.60}"
        )

    def step(carry: Any, x: Any) -> tuple[Any, Any]:
        returned = function(carry, x)
        if _is_like(carry, returned):
            return returned, pytree.ends(returned)[-1]
        if isinstance(returned, tuple) and len(returned) == 2 and _is_like(carry, returned[0]):
            return returned[0], returned[1]
        raise ArgumentError(
            f"{where}: expected the step to return a new state like the old one, alone or in a pair (state, output); "
            f"the old one is {_shown(carry)}, it returned {_shown(returned)}"
        )

    return step


def _is_like(carry: Any, returned: Any) -> bool:
    try:
        pytree.like(carry, returned, "")
    except ArgumentError:
        return False
    return True


def _shown(tree: Any) -> str:
    """The structure of a pytree, with the shape of what stands at its ends."""
    return str(pytree.mapped(lambda end: getattr(end, "shape", type(end).__name__), tree))


def tensors_of(tree: Any) -> Any:
    """The pytree with Tensors at its ends."""
    return pytree.mapped(lambda end: end if isinstance(end, Tensor) else Tensor(end), tree)


def part_names(cell_or_step: Any, carry: Any) -> list[str]:
    """What the parts of the carry are called: as the cell says, as the tensors or the fields are named, or h, or h_1, h_2, …

    >>> part_names(None, {"c": Tensor(0.0), "h": Tensor(0.0)}), part_names(None, Tensor([0.0]))
    (['c', 'h'], ['h'])
    """
    parts = list(pytree.named_ends((carry,)))
    declared = getattr(cell_or_step, "state_names", None)
    if isinstance(declared, tuple | list) and len(declared) == len(parts):
        return [str(name) for name in declared]
    names = []
    for number, (path, part) in enumerate(parts, start=1):
        names.append(getattr(part, "name", None) or field_of(path) or ("h" if len(parts) == 1 else f"h_{number}"))
    return _distinct(names, [path for path, _ in parts])


def argument_names(f: Callable[..., Any], position: int, tree: Any) -> list[str]:
    """What a step calls the parts of one of its arguments: fields and keys by their names, others as the variables are
    called into which it unpacks the argument, or as the argument.

    >>> argument_names(lambda h, x: h + x, 0, Tensor(0.0)), argument_names(lambda carry, x: carry, 0, (0, {"c": 1}))
    (['h'], ['carry_1', 'c'])
    """
    paths = pytree.paths(tree)
    argument, unpacked = _variables(code_of(f), position + hasattr(f, "__self__"))
    fields = [field_of(path) for path in paths]
    if len(unpacked) == len(paths) and not any(fields):
        fields = [PREVIOUS.sub("", variable) for variable in unpacked]
    called = PREVIOUS.sub("", argument) or ("carry", "x")[position]
    numbered = [called if len(paths) == 1 else f"{called}_{number}" for number in range(1, len(paths) + 1)]
    return _distinct([field or name for field, name in zip(fields, numbered, strict=True)], paths)


PREVIOUS = re.compile("_?(previous|prev|old|last|tm1)_?|_t$|_0$|^_+$")
"""What in the name of a variable says that it is the state before, or at which time; or nothing at all."""


def code_of(f: Any) -> Any:
    """What tells a function from others that do something else, though it be made anew at each call."""
    while isinstance(f, functools.partial):
        f = f.func
    return getattr(getattr(f, "__func__", f), "__code__", type(f))


@functools.lru_cache(maxsize=256)
def _variables(code: Any, position: int) -> tuple[str, tuple[str, ...]]:
    """The name of an argument, and those of the variables that it is unpacked into."""
    if not isinstance(code, CodeType) or position >= code.co_argcount:
        return "", ()
    argument, stored = code.co_varnames[position], list(dis.get_instructions(code))
    for k, (loaded, unpack) in enumerate(pairwise(stored)):
        if loaded.opname.startswith("LOAD_FAST") and loaded.argval == argument and unpack.opname == "UNPACK_SEQUENCE":
            following = takewhile(lambda step: step.opname.startswith("STORE_FAST"), stored[k + 2 :])
            names = [name for step in following for name in ([step.argval] if isinstance(step.argval, str) else step.argval)]
            return argument, tuple(names[: unpack.argval])
    return argument, ()


def _distinct(names: list[str], paths: list[str]) -> list[str]:
    """The names, told apart by the keys and places that lead to what has them."""
    if len(set(names)) < len(names):
        names = [_apart(name, path) if names.count(name) > 1 else name for name, path in zip(names, paths, strict=True)]
    if len(set(names)) < len(names):
        names = [f"{name}_{number}" for number, name in enumerate(names, start=1)]
    return names


def _apart(name: str, path: str) -> str:
    """A name that others have too, with the keys and places that lead to it: the h of the second layer is h_2.

    >>> _apart("h", "[0]['upper'].h"), _apart("h", "[0][1].h")
    ('h_upper', 'h_2')
    """
    keys = [key or field or str(int(place) + 1) for key, place, field in KEYS.findall(path)][1:]
    return "_".join([name, *(keys[:-1] if keys[-1:] == [name] else keys)])


KEYS = re.compile(r"\['([^']*)'\]|\[(\d+)\]|\.(\w+)")
"""The parts of a path through a pytree."""


def field_of(path: str) -> str:
    """The last name in a path through a pytree, that of a field or of a key; "" if it ends in a number.

    >>> field_of("[0].c"), field_of("[0]['h']"), field_of("[0][1]")
    ('c', 'h', '')
    """
    if path.endswith("']"):
        return path.rsplit("['", 1)[1].removesuffix("']")
    return "" if path.endswith("]") else path.rsplit(".", 1)[-1]
