"""A known mistake as data: something else in the place of a term of the chain rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ["Change", "Context", "Edge"]

Edge: TypeAlias = tuple[Any, ...]
"""(site of the user, position), or ("seed", name of the output)."""


Context: TypeAlias = Any
"""The site of a gate, an argument or a state; None before any of them."""


Term: TypeAlias = Callable[..., Any]
"""(run, user, position, gradient of the user, context) → the term."""


@dataclass(frozen=True, eq=False)
class Change:
    """Something else in the place of the term of an edge.

    Attributes:
        edges: which terms are changed.
        term: (run, user, position, gradient of the user, context) → the term, or None for no term.
        context: only in the derivation of this gate, argument or state; None for all.
        when: only at some steps, given the step of the user of the value and the number of steps; None for all.
        kind: which kind of mistake it is, for counting and for words.
        words: what a message says about it.
        simple: the smaller, the likelier.
        fields: what else a message can say.
        inner: changes that hold for one part of the sum only: what ``fields["drop"]`` (edge, which half) leaves in half 1.
    """

    edges: frozenset[Edge]
    term: Term
    kind: str
    words: str
    context: Context = None
    when: Callable[[int, int], bool] | None = None
    simple: int = 1
    fields: dict[str, Any] = field(default_factory=dict)
    inner: tuple[Change, ...] = ()
