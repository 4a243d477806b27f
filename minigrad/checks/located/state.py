"""The user's functions with some corrections made."""

from __future__ import annotations

from types import FunctionType
from typing import Any, NamedTuple

from minigrad.checks.located.edit import Edit
from minigrad.checks.located.written import Written

__all__ = ["State"]


class State(NamedTuple):
    """The user's functions with some corrections made."""

    functions: dict[FunctionType, Written]
    edits: tuple[Edit, ...] = ()

    def with_edit(self, edit: Edit) -> State:
        """The same with one more."""
        changed = edit.applied()
        return State(self.functions | {changed.function: changed}, (*self.edits, edit))

    def codes(self) -> dict[FunctionType, Any]:
        """What the functions are to run."""
        return {function: now.compiled() for function, now in self.functions.items()}
