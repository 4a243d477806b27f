"""A correction of some lines of a user's function: which nodes of its tree are written otherwise, and how."""

from __future__ import annotations

import ast
from typing import NamedTuple

from minigrad.checks.located.written import Places, Written

__all__ = ["WRAPS", "Edit", "bracketed"]

WRAPS = "index −1 wraps round"
"""The kind of mistake where an entry of a list is another one than it should be at the first step alone."""

LIKELY = 0.6
"""How much less a correction counts that gives a known part of a gradient where there was none; half if there was one."""


class Edit(NamedTuple):
    """A correction.

    Attributes:
        function: where it is made.
        statement: the statement that it changes; the first of them.
        places: what stands where instead.
        cost: the smaller, the less is changed.
        kind: what kind of mistake that corrects, where that is known already; "" otherwise.
        hit: 1 if the statement then gives what is known to be a gradient or a part of one, and did not before; 0.5 if it did.
        after: a line that is put behind the statement.
        anew: whether something is written as the derivation has it, whatever stood there.
        less: whether there is nothing new in a line that gives no gradient: a term less, another sign.
    """

    function: Written
    statement: ast.stmt
    places: Places
    cost: float
    kind: str = ""
    hit: float = 0.0
    after: str = ""
    anew: bool = False
    less: bool = False

    @property
    def rank(self) -> float:
        """The smaller, the likelier."""
        return self.cost - LIKELY * self.hit

    def applied(self) -> Written:
        """The function as it is then."""
        if self.after:
            within = {place[0] for place in self.places if any(node is place[0] for node in ast.walk(self.statement))}
            inside, outside = ([place for place in self.places if (place[0] in within) == one] for one in (True, False))
            indent, here = " " * self.statement.col_offset, self.function.segment(self.statement, inside)
            return self.function.replaced([*outside, (self.statement, f"{here}\n{indent}{self.after}")])
        return self.function.replaced(bracketed(self.function, self.places))


def bracketed(function: Written, places: Places) -> Places:
    """The same with brackets around what would otherwise be torn apart where it is put."""
    return [
        (node, text if not isinstance(node, ast.expr) or _holds(function, node, text) else f"({text})") for node, text in places
    ]


def _holds(function: Written, node: ast.expr, text: str) -> bool:
    """Whether the text stays one expression in the place of a node."""
    try:
        bare = function.segment(function.tree, [(node, text)])
        return ast.dump(ast.parse(bare)) == ast.dump(ast.parse(function.segment(function.tree, [(node, f"({text})")])))
    except SyntaxError:
        return False
