"""How the lines of a derivation are written: with the names of the user's code, as he would have written them."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.checks.chain import Chain
from minigrad.checks.tracing import Hole, Line

__all__ = ["Words", "tight"]

SHORT = 90
INFIX = {"add": " + ", "sub": " - ", "mul": " * ", "div": " / ", "matmul": " @ "}


class Words:
    """The texts of the lines of one chain."""

    def __init__(self, chain: Chain, called: dict[str, str], seeds: dict[str, str]) -> None:
        self.chain, self.called, self.seeds = chain, called, seeds

    def name(self, line: Line) -> str:
        """The name of a line; its formula if it has none."""
        return self._own(line) or self.formula(line)

    def _own(self, line: Line) -> str | None:
        """The name in the user's code, if it has one; of zeros that a state begins with, that of the state."""
        if line.name is None and line.op == "constant":
            states = [self.chain.at.get(site, {}) for site, first in self.chain.initial.items() if first is line]
            return next((later.name for at in states for later in at.values() if later.name is not None), None)
        if line.name is None and line.op not in ("argument", "constant"):  # what is put out: self.c = f * c + i * g
            return next((called for called, _ in self.chain.seeds.get(line.number, ())), None)
        return line.name

    def beside(self, line: Line, user: Line) -> str:
        """The name of a line where ``user`` reads it: ``c[t-1]`` for that of the step before, if this one has a ``c``."""
        own, name = self._own(line), self.name(line)
        later = self.chain.lines[line.number + 1 :] if own is not None and user.time else []
        return f"{name}[t-1]" if any(o.time == user.time and o.name == own for o in later) and line.time != user.time else name

    def _depth(self) -> int:
        depths = [len(line.sources) for line in self.chain.lines if line.op == "matmul"]
        return min(depths, default=1)

    def formula(self, line: Line, depth: int = 3) -> str:
        """How the line is computed."""
        if line.op in ("argument", "constant"):
            return line.name or "the initial 0"
        parts = [self._operand(given, line, depth) for given in line.given] or [self._named(o, depth) for o in line.operands]
        if line.op in INFIX and len(parts) == 2:
            if line.op != "add":
                parts = [f"({part})" if " + " in part or " - " in part else part for part in parts]
            return INFIX[line.op].join(parts)
        if line.op == "transpose" and parts:
            return f"{tight(parts[0])}.T"
        if line.op == "neg":
            return f"-{tight(parts[0])}"
        if line.op == "getitem":
            return f"{tight(parts[0])}[{index_text(line.index)}]"
        if line.op in ("write", "concatenate"):
            return "[" + ", ".join(self._named(o, depth) for o in self._joined(line)) + "]"
        return f"{line.op}({', '.join(parts)})"

    def _joined(self, line: Line) -> list[Line]:
        if line.op == "write":
            base = line.operands[0]
            return [*(self._joined(base) if base.op == "write" else []), line.operands[1]]
        return list(line.operands)

    def _operand(self, given: Any, line: Line, depth: int) -> str:
        if isinstance(given, Hole):
            return self._named(line.operands[given.number], depth)
        if isinstance(given, list | tuple):
            return "[" + ", ".join(self._operand(part, line, depth) for part in given) + "]"
        return f"{given:g}" if isinstance(given, int | float) and not isinstance(given, bool) else "…"

    def _named(self, line: Line, depth: int) -> str:
        return self._own(line) or ("…" if not depth else self.formula(line, depth - 1))

    # ---------------------------------------------------------------- gradients

    def gradient(self, line: Line) -> str:
        """What the gradient of a line is called."""
        for name in [name for name, found in self.chain.wanted.items() if found is line]:
            called = self.called.get(name, name)
            return f"d{name}" if called == name else called
        own = self._own(line)
        if own is not None:
            arriving = {self.seeds.get(name, f"d{name}") for name, _ in self.chain.seeds.get(line.number, ())}
            return f"d{own}" if f"d{own}" not in arriving else f"total_d{own}"
        users = [user for user, _ in self.chain.users[line.number]]
        if len(users) == 1 and self._own(users[0]) and users[0].op in ("sigmoid", "tanh", "relu", "softmax"):
            return f"d{self._own(users[0])}_pre"
        return f"d({self.formula(line)})"

    def derivation(self, line: Line) -> str:
        """The right line of the derivation for the gradient of a line: ``dc = dh * o * (1 - tanh(c)**2) + dc_next``.

        It is written for the time step at which there is most to add up.
        """
        fullest = max(self.chain.at.get(line.site, {0: line}).values(), key=lambda other: len(self._uses(other)))
        return f"{self.gradient(line)} = {self._sum(fullest, 4)}"

    def _uses(self, line: Line) -> list[tuple[Line, int]]:
        """The uses of a line that something arrives from: a part that no output has gets nothing."""
        found = [(user, position) for user, position in self.chain.users[line.number] if self.chain.live[user.number]]
        return [
            (user, position)
            for user, position in found
            if user.op != "write" or np.any(user.vjp(self.chain.base.gradient(user))[position])
        ]

    def _sum(self, line: Line, depth: int) -> str:
        terms = [self.seeds.get(name, f"d{name}") for name, _ in self.chain.seeds.get(line.number, ())]
        terms += [self.term(user, position, depth) for user, position in self._uses(line)]
        unique = {term: terms.count(term) for term in terms}
        shown = [term if count == 1 else f"sum over the steps of {term}" for term, count in unique.items()]
        return " + ".join(shown).replace("+ -", "- ") or "0"

    def upstream(self, user: Line, depth: int) -> str:
        """The gradient of ``user`` inside a formula: its name, or its own formula if it has none."""
        seeds = self.chain.seeds.get(user.number, ())
        users = self.chain.users[user.number]
        if len(seeds) == 1 and not users:
            return self.seeds.get(seeds[0][0], f"d{seeds[0][0]}")
        if user.op == "write" and not seeds and len(users) == 1 and users[0][0].op in ("write", "getitem"):
            return self.upstream(users[0][0], depth)  # an array that is filled, and returned or a part of it
        if self._own(user) is not None or depth <= 0 or user.site in self.chain.roots:
            return self.gradient(user)
        text = self._sum(user, depth - 1)
        return f"({text})" if " + " in text or " - " in text else text

    def term(self, user: Line, position: int, depth: int = 3) -> str:
        """What one use contributes."""
        g = self.upstream(user, depth)
        factor = self.factor(user, position)
        if user.op == "matmul":
            other = tight(self.beside(user.operands[1 - position], user)) if len(user.operands) == 2 else "…"
            g = tight(g)
            return f"{g} @ {transposed(other)}" if position == 0 else f"{transposed(other)} @ {g}"
        if user.op == "add":
            shape = user.operands[position].value.shape
            return g if shape == user.value.shape else f"sum over examples of {g}"
        if user.op == "transpose":
            return transposed(tight(g))
        if user.op == "concatenate" or (user.op == "write" and position == 1):
            return f"{self.name(user.operands[position])}'s part of {g}"
        if user.op in ("getitem", "split"):
            return f"{g} at [{index_text(user.index)}]" if user.op == "getitem" else f"{g} in its place"
        if user.op in ("write", "stack", "reshape", "copy"):
            return g
        return f"{g} * {factor}" if factor else g

    def factor(self, user: Line, position: int) -> str:
        """The derivative of an operation on entries, as a factor; with a minus where it is negative."""
        y = tight(self.name(user))
        operands = [tight(self.name(o)) for o in user.operands]
        if user.op == "mul":
            return self._other(user, position)
        if user.op == "tanh":
            return f"(1 - {y}**2)"
        if user.op == "sigmoid":
            return f"{y} * (1 - {y})"
        if user.op == "relu":
            return f"({operands[0]} > 0)"
        if user.op == "div" and position == 0:
            return f"(1 / {self._other(user, position)})"
        if user.op == "neg" or (user.op == "sub" and self._second(user, position)):
            return "(-1)"
        if user.op in ("sub", "sum", "mean"):
            return "" if user.op != "mean" else "(1 / number of entries)"
        return f"∂{user.op}/∂{operands[position] if position < len(operands) else ''}"

    def _second(self, user: Line, position: int) -> bool:
        second = user.given[1] if len(user.given) > 1 else None
        return isinstance(second, Hole) and second.number == position

    def _other(self, user: Line, position: int) -> str:
        for given in user.given:
            if not isinstance(given, Hole):
                return self._operand(given, user, 2)
            if given.number != position:
                return tight(self.beside(user.operands[given.number], user))
        return tight(self.name(user.operands[position]))

    def source(self, line: Line) -> str:
        """Where the line stands in the user's code: the number and the text."""
        if not line.sources:
            return ""
        chosen = line.sources[max(0, min(len(line.sources) - 1, len(line.sources) - self._depth()))]
        text = chosen.text
        return f"line {chosen.number}, {text[:SHORT]}" if text else f"line {chosen.number}"


def tight(text: str) -> str:
    """The text in brackets, if it needs any beside a factor."""
    return f"({text})" if any(f" {sign} " in text for sign in "+-*/@") and not text.startswith(("(", "[")) else text


def transposed(text: str) -> str:
    """The text of the transposed."""
    return text[:-2] if text.endswith(".T") else f"{text}.T"


def index_text(index: Any) -> str:
    """An index as it is written."""
    if isinstance(index, tuple):
        return ", ".join(index_text(part) for part in index)
    if isinstance(index, slice):
        step = f":{index.step}" if index.step is not None else ""
        return f"{'' if index.start is None else index.start}:{'' if index.stop is None else index.stop}{step}"
    return "…" if index is Ellipsis else str(index) if isinstance(index, int) else "…"
