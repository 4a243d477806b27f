"""A line of a derivation, and the kinds of lines."""

from __future__ import annotations

from dataclasses import dataclass

from .expression import Expr, Symbol

__all__ = ["COTANGENT", "FORWARD", "INPUT", "PARAMETER", "STATE", "WHOLE", "Formula"]

FORWARD, COTANGENT, PARAMETER, INPUT, STATE = "forward", "cotangent", "parameter", "input", "state"
WHOLE = "whole"


@dataclass(frozen=True)
class Formula:
    """A line of a derivation: ``symbol = formula``.

    Attributes:
        symbol: what the line gives: a value of the step, or ∂L/∂ of one.
        formula: what it is.
        shape: its shape, for the example that was traced.
        kind: FORWARD; COTANGENT, the gradient of a value of the step; PARAMETER, what step t adds to the gradient of a
            parameter, or of what is made of parameters alone; INPUT and STATE, what step t sends to its input, and to the
            state before it; WHOLE, what is added to such a gradient when all steps are done.
        path: the values through which the gradient comes here: the chain rule has gone from the loss to these, and goes on
            from these to this value. Of a forward line what it is computed from.
    """

    symbol: Symbol
    formula: Expr
    shape: tuple[int, ...]
    kind: str
    path: tuple[Symbol, ...]
