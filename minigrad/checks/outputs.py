"""Outputs of a forward pass that was run on stand-ins: which lines they are, and where it stores what it returns nothing of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from minigrad.checks import names
from minigrad.checks.containers import found_in
from minigrad.checks.tracing import Traced
from minigrad.errors import ArgumentError

__all__ = ["by_step", "learnt", "lines_of", "stored_in", "where_stored"]


def where_stored(arguments: dict[str, Any], wanted: Iterable[Any], called: str) -> dict[str, str]:
    """Where a forward pass that returns nothing has stored its outputs: by name, the path from its arguments.

    Args:
        arguments: what it was run on, with stand-ins for arrays.
        wanted: what the outputs may be called.
        called: the name of the forward pass.

    Raises:
        ArgumentError: nothing that it stored is called so.
    """
    last = _made(arguments)
    found = names.match([name for name in wanted if isinstance(name, str)], [*last], lambda a, b: True)
    if not found:
        raise ArgumentError(
            f"check_backward: {called} returns nothing to follow; which of the values that it stores are its outputs? "
            + (f"Say so: outputs=(…), of {sorted(last)}" if last else "It stores none in its arguments: let it return them")
        )
    return {name: last[where] for name, where in found.items()}


def stored_in(arguments: dict[str, Any], wanted: Iterable[str], taken: Sequence[str]) -> dict[str, str]:
    """What of that is ``wanted`` is an attribute that the forward pass has given a value: by its name, the path to it."""
    last = {name: path for name, path in _made(arguments).items() if "[" not in path and name not in taken}
    return {where: last[where] for where in names.match(wanted, [*last], lambda a, b: True).values()}


def _made(arguments: dict[str, Any]) -> dict[str, str]:
    """Where values of the forward pass are stored, by the last part of the path."""
    made = found_in(arguments, lambda value: isinstance(value, Traced) and value.line.op not in ("argument", "constant"))
    return {path.rpartition(".")[2]: path for path in made}


def learnt(part: Any) -> str | None:
    """What the code calls a stand-in."""
    return part.line.name if isinstance(part, Traced) else None


def by_step(output: dict[Any, Any]) -> dict[Any, Any]:
    """A dict by step without the state before the first, ``hs[-1]``: that is given, and no output."""
    return {key: part for key, part in output.items() if key != -1} if -1 in output and 0 in output else output


def lines_of(value: Any, is_wanted: bool, is_declared: bool = False) -> Any:
    """The line of a stand-in, or those of a list of them, of a dict by step, or of a tuple whose gradient ``is_wanted``.

    A dict with the state before the first step in it is kept for the backward pass, unless its gradient is wanted, or it
    ``is_declared`` to be what arrives from outside. None for anything else, such as a cache.
    """
    if isinstance(value, Traced):
        return value.line if value.line.op != "constant" else None
    if isinstance(value, dict):
        value = by_step(value) if is_wanted or is_declared else value
        value = [*value.values()] if [*value] == [*range(len(value))] else value
    if isinstance(value, tuple) and is_wanted:
        value = [*value]
    if isinstance(value, list) and value and all(isinstance(part, Traced) for part in value):
        return [part.line for part in value]
    return None
