"""The order of a person: in which the lines of a backward pass stand, and the terms of a line."""

from __future__ import annotations

from dataclasses import replace

from minigrad.loops.program import Ref

from .expression import ADD, MATMUL, Expr, Symbol, ends, kinds

__all__ = ["arranged", "ordered"]


def arranged(expr: Expr, places: dict[Symbol, int]) -> Expr:
    """The contributions to a gradient: the loss of this step, the ways without a matrix, then those through a matrix, gate by
    gate as their lines stand in the code, at last what comes back from the next step."""
    if expr.kind != ADD:
        return expr

    def order(term: Expr) -> tuple[int, bool, int]:
        losses = [symbol for symbol in ends(term) if symbol.loss]
        first = losses[0] if losses else Symbol("")
        through_matrix = MATMUL in kinds(term)
        gate = places.get(first._replace(loss=""), 0) if through_matrix else 0
        return {"L_t": 0, "L₊": 2}.get(first.loss, 1), through_matrix, gate

    return replace(expr, args=tuple(sorted(expr.args, key=order)))


def ordered(waiting: dict[Ref, Expr], symbols: dict[Ref, Symbol], places: dict[Symbol, int]) -> list[Ref]:
    """From the loss down; on one level as in the code; arguments of gates as late as possible.

    Args:
        waiting: the formulas of the gradients that have lines.
        symbols: what these gradients are called.
        places: where the lines of the forward values stand.
    """
    refs = {symbol: ref for ref, symbol in symbols.items()}
    needs = {ref: {refs[s] for s in ends(expr) if s in refs} - {ref} for ref, expr in waiting.items()}
    needed = {ref for others in needs.values() for ref in others}
    level: dict[Ref, int] = {}
    for ref in sorted(waiting, key=lambda ref: ref.number):
        level[ref] = 1 + max((level[other] for other in needs[ref]), default=-1)

    def order(ref: Ref) -> tuple[bool, int, int]:
        place = places.get(symbols[ref]._replace(loss=""), 0)
        return ref not in needed, level[ref] if ref in needed else 0, place

    done: list[Ref] = []
    left = set(waiting)
    while left:
        ready = min((ref for ref in left if needs[ref] <= set(done)), key=order)
        done.append(ready)
        left.remove(ready)
    return done
