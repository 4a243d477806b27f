"""Mistakes that can be made with any term of the chain rule: it is missing, counted twice, has the wrong sign."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from minigrad.checks.chain import Chain
from minigrad.checks.change import Change, Context
from minigrad.checks.fusing import ACTIVATIONS
from minigrad.checks.mistakes.activations import activation_changes
from minigrad.checks.mistakes.parts import part_changes, stretched_changes
from minigrad.checks.mistakes.places import Spot, factors, multiplied, scaled, where
from minigrad.checks.mistakes.products import matmul_changes, product_changes
from minigrad.checks.mistakes.upstream import upstream_changes
from minigrad.checks.run import Run
from minigrad.checks.tracing import Line
from minigrad.checks.words import Words

__all__ = ["edge_changes"]


def edge_changes(chain: Chain, words: Words, spot: Spot, context: Context) -> Iterator[Change]:
    """What can go wrong with one term."""
    user, position, edge = spot.user, spot.position, spot.edge
    edges = frozenset({edge})
    place = where(chain, words, context)
    extra = 1 if context is not None else 0
    text = words.term(user, position, 1)
    of = words.gradient(spot.operand)
    through = words.name(user)
    about: dict[str, Any] = {"line": spot.operand, "user": user}

    def change(
        kind: str, said: str, term: Any, simple: int, when: Any = None, group: Any = None, everywhere: str = ""
    ) -> Change:
        fields = about if group is None else about | {"group": (kind, *group), "everywhere": everywhere}
        return Change(edges, term, kind, said + place, context, when, simple + extra, fields)

    def right(run: Run, user: Line, g: Any, c: Context) -> Any:
        return None if g is None else user.vjp(g)[position]

    yield change(
        "path missing",
        f"the path from {words.name(spot.operand)} through {through} is missing: the term {text} of {of}",
        lambda run, user, k, g, c: None,
        1,
    )
    if chain.steps > 1 and chain.looped(user):
        for when, said in _times(chain.steps):
            yield change(
                "path missing",
                f"the path from {words.name(spot.operand)} through {through} is missing {said}",
                lambda run, user, k, g, c: None,
                4,
                when,
            )
    for factor, kind, said in (
        (-1.0, "sign", "has the wrong sign"),
        (2.0, "counted twice", "is counted twice"),
        (0.5, "factor", "is halved"),
    ):
        yield change(
            kind,
            f"the term {text} of {of} {said}",
            lambda run, user, k, g, c, factor=factor: scaled(right(run, user, g, c), factor),
            3,
        )
    if user.op in ACTIVATIONS:
        yield from activation_changes(chain, words, spot, change)
    if user.op == "mul":
        yield from product_changes(chain, words, spot, change)
    if user.op == "matmul":
        yield from matmul_changes(chain, words, spot, change)
    if user.op in ("concatenate", "write"):
        yield from part_changes(chain, words, spot, change)
    yield from stretched_changes(words, spot, change)
    if user.op in ("mul", "matmul", "add", "sub") or user.op in ACTIVATIONS:
        yield from upstream_changes(chain, words, spot, change)
        for said, by in factors(chain, words, user.value.shape):
            yield change(
                "factor too many",
                f"the term {text} of {of} is multiplied by {said}, which belongs elsewhere",
                lambda run, user, k, g, c, by=by: right(run, user, multiplied(run, user, g, by), c),
                5,
            )


def _times(steps: int) -> Iterator[tuple[Callable[[int, int], bool], str]]:
    yield (lambda t, T: t == 1), "at the first step"
    yield (lambda t, T: t == T), "at the last step"
    if steps > 2:
        yield (lambda t, T: t > 1), "at every step but the first"
        yield (lambda t, T: t < T), "at every step but the last"
