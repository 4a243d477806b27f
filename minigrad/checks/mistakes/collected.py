"""Known mistakes, as changes of the chain rule: each kind once, for every line of any forward pass that it can be made in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minigrad.checks.chain import Chain
from minigrad.checks.change import Change, Context
from minigrad.checks.mistakes.one_term import one_term_changes
from minigrad.checks.mistakes.parts import permutations
from minigrad.checks.mistakes.places import Spot
from minigrad.checks.mistakes.steps import step_changes
from minigrad.checks.mistakes.terms import edge_changes
from minigrad.checks.mistakes.unactivated import unactivated
from minigrad.checks.mistakes.upstream import seed_changes
from minigrad.checks.words import Words

__all__ = ["catalogue"]


def catalogue(chain: Chain, words: Words) -> list[Change]:
    """All changes for this chain, the simplest first."""
    found: list[Change] = []
    for edge, contexts in chain.visited.items():
        options: list[Context] = [None, *contexts] if len(contexts) > 1 else [None]
        for context in options:
            found += (
                seed_changes(chain, words, edge, context)
                if edge[0] == "seed"
                else edge_changes(chain, words, Spot(chain, edge), context)
            )
    found += _everywhere(chain, found)
    found += one_term_changes(chain, words, found)
    found += permutations(chain, words)
    found += unactivated(chain, words)
    found += step_changes(chain, words)
    found.sort(key=lambda change: change.simple)
    return found


def _everywhere(chain: Chain, found: list[Change]) -> Iterator[Change]:
    """The same mistake at every place where it can be made, as one."""
    groups: dict[Any, list[Change]] = {}
    for change in found:
        if "group" in change.fields and change.context is None and change.when is None:
            groups.setdefault(change.fields["group"], []).append(change)
    for members in groups.values():
        if len(members) > 1:
            edges = frozenset(edge for change in members for edge in change.edges)
            first = members[0]
            yield Change(
                edges,
                first.term,
                first.kind,
                first.fields["everywhere"],
                simple=max(first.simple - 1, 0),
                fields=first.fields | {"members": members},
            )
