"""The statements of a backward pass: a line of a derivation as one statement, or as several where a person writes several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from .expression import ADD, CALL, CONCATENATE, NEGATIVE, PART, SYMBOL, TRANSPOSE, Expr, Symbol, ends
from .lines import INPUT, PARAMETER, STATE, WHOLE, Formula
from .numpy_writer import NumPy
from .writing import Text

if TYPE_CHECKING:
    from .derivation import Derivation

__all__ = ["Statements"]

LONGEST = 100
"""How long a sum may be on one line."""
BESIDE = 72
"""How long a statement may be that the comments of the others stand beside."""
SUMS = (PARAMETER, WHOLE)
"""The kinds of lines that add to a sum."""
VIEWS = (SYMBOL, PART, TRANSPOSE)
"""Formulas that give a view of an array, in which nothing may be written."""


class Statements:
    """Statements in NumPy, each with the path of the chain rule as its comment."""

    def __init__(self, derivation: Derivation, variables: dict[Symbol, str], numpy: NumPy) -> None:
        self.of, self.variables, self.numpy = derivation, variables, numpy
        self.reading = Text(derivation.layout)

    def of_lines(self, lines: Sequence[Formula]) -> list[tuple[str, str]]:
        """The code of lines, and their comments."""
        return [(self.code(line), self.comment(line)) for line in lines]

    def commented(self, rows: Sequence[tuple[str, str]]) -> list[str]:
        """The code with its comments in one column; a long line has its comment above it."""
        width = max((len(part) for code, _ in rows for part in code.split("\n")[:1] if len(part) <= BESIDE), default=0)
        found = []
        for code, comment in rows:
            first, *others = code.split("\n")
            if max(len(first), width) + len(comment) > LONGEST + 12:
                found += [f"# {comment}", first, *others]
            else:
                found += [f"{first.ljust(width)}  # {comment}" if comment else "", *others]
        return found

    def dxs(self, x: str) -> str:
        """The gradients by an input."""
        return "dxs" if len(self.of.x) == 1 else f"d{self.variables[Symbol(x, 0)]}s"

    def code(self, line: Formula) -> str:
        """What is added up or assigned, and then what is added to parts of it."""
        target, sign = self._target(line)
        terms = line.formula.args if line.formula.kind == ADD else (line.formula,)
        placed = [term for term in terms if _is_placed(term)]
        if not placed or any(self.variables[symbol] == target for term in placed for symbol in ends(term)):
            return self._assigned(target, sign, line)
        rest = [term for term in terms if term not in placed]
        code = []
        if rest:
            formula = replace(line.formula, args=tuple(rest)) if len(rest) > 1 else rest[0]
            copied = ".copy()" if formula.kind in VIEWS and line.kind not in (INPUT, *SUMS) else ""
            code.append(self._assigned(target, sign, replace(line, formula=formula)) + copied)
        elif line.kind not in (INPUT, *SUMS):
            shape = target if line.kind == STATE else ""
            code.append(f"{target} = np.zeros{f'_like({shape})' if shape else f'({self.numpy.shape(line.shape)})'}")
        return "\n".join([*code, *(self._added(target, term) for term in placed)])

    def _added(self, target: str, term: Expr) -> str:
        """A statement that adds something to a part of an array."""
        is_negative = term.kind == NEGATIVE
        bare = term.args[0] if is_negative else term
        value = self.numpy.write(bare.args[0])
        if bare.what[0] == "place" and bare.what[1][1]:
            return f"{target}{bare.what[1][0]} {'-' if is_negative else '+'}= {value}"
        return f"np.{'subtract' if is_negative else 'add'}.at({target}, {self.numpy.index(bare)}, {value})"

    def _target(self, line: Formula) -> tuple[str, str]:
        """What a line gives a value to, and how."""
        name = self.variables[line.symbol]
        if line.kind in SUMS:
            whole = {parameter.name: parameter.key for parameter in self.of.parameters if parameter.cut is None}
            return f'dp["{whole[line.symbol.name]}"]' if line.symbol.name in whole else name, "+="
        return f"{self.dxs(line.symbol.name)}[t - 1]" if line.kind == INPUT else name, "="

    def _assigned(self, target: str, sign: str, line: Formula) -> str:
        """One statement; of a long sum a line for each term, of a long concatenation one for each part."""
        formula, value = line.formula, self.numpy.write(line.formula)
        if line.kind == STATE and formula.kind == CALL and formula.what[0] == "full":
            value = f"np.zeros_like({target})"
        if formula.kind not in (ADD, CONCATENATE) or len(target) + len(value) < LONGEST:
            return f"{target} {sign} {value}"
        if formula.kind == CONCATENATE:
            parts = [f"    {self.numpy.write(part)}," for part in formula.args]
            return "\n".join([f"{target} {sign} np.concatenate([", *parts, f"], axis={formula.what})"])
        terms = [self.numpy.term(term, number == 0) for number, term in enumerate(formula.args)]
        return "\n    ".join([f"{target} {sign} (", *terms]) + "\n)"

    def comment(self, line: Formula) -> str:
        """The path of the chain rule: from the value to what reads it."""
        value = line.symbol._replace(loss="")
        steps = ", ".join(self._step_on(symbol, value) for symbol in line.path)
        return f"{self.reading.symbol(value)} → {steps}" if steps else self.reading.symbol(value)

    def _step_on(self, symbol: Symbol, value: Symbol) -> str:
        """One reader of a value: the loss or the next step if they read it itself, otherwise another value."""
        reader = symbol._replace(loss="")
        if reader == value and symbol.loss in ("L_t", "L₊"):
            return "Lₜ" if symbol.loss == "L_t" else "step t + 1"
        return self.reading.symbol(reader)

    def of_states(self, lines: Sequence[Formula]) -> list[tuple[str, str]]:
        """What goes to the step before: each after those that still read the variable that it writes to."""
        name, left = self.variables, list(lines)
        reads = {line.symbol: {name[s] for s in ends(line.formula) if s.loss} for line in left}
        done: list[tuple[str, str]] = []
        while left:
            free = [
                line
                for line in left
                if not any(name[line.symbol] in reads[other.symbol] for other in left if other is not line)
            ]
            if not free:
                targets = ", ".join(name[line.symbol] for line in left)
                values = ", ".join(self.numpy.write(line.formula) for line in left)
                return [*done, (f"{targets} = {values}", "; ".join(map(self.comment, left)))]
            left.remove(free[0])
            if self.code(free[0]) != f"{name[free[0].symbol]} = {name[free[0].symbol]}":
                done.append((self.code(free[0]), self.comment(free[0])))
        return done


def _is_placed(term: Expr) -> bool:
    """Whether it is something that is added to a part of an array."""
    bare = term.args[0] if term.kind == NEGATIVE else term
    return bare.kind == CALL and bare.what[0] in ("place", "scatter")
