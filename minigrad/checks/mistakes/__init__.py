"""Known mistakes, as changes of the chain rule: each kind once, applicable to any cell."""

from minigrad.checks.mistakes.collected import catalogue

__all__ = ["catalogue"]
