"""Derivations: the backward pass of a step of a recurrence, written out and made to run by itself."""

from .derivation import Derivation, derive
from .explaining import Explanation, explain
from .expression import Expr, Symbol
from .lines import COTANGENT, FORWARD, INPUT, PARAMETER, STATE, Formula
from .parameters import Parameter

__all__ = [
    "COTANGENT",
    "FORWARD",
    "INPUT",
    "PARAMETER",
    "STATE",
    "Derivation",
    "Explanation",
    "Expr",
    "Formula",
    "Parameter",
    "Symbol",
    "derive",
    "explain",
]
