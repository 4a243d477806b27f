"""In which lines to look, and in which order: those that give no gradient, and those that make what they read."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from minigrad.checks.located.frontier import PART, UNKNOWN, WHOLE, Seen, target_of, written_to
from minigrad.checks.located.state import State
from minigrad.checks.located.statements import all_statements
from minigrad.checks.located.truths import CLOSE
from minigrad.checks.located.watching import EARLY
from minigrad.checks.located.written import Written

__all__ = ["calls_of", "first_of", "groups", "in_order", "is_collected", "known_groups"]

FIRST = 5
"""So many lines that give no whole gradient are looked at."""


def is_collected(line: Seen) -> bool:
    """Whether the line adds a part of a gradient to the others, as it should."""
    return line.known == PART and isinstance(line.statement, ast.AugAssign)


def in_order(lines: Sequence[Seen], right: Collection[str] = ()) -> list[Seen]:
    """The lines that give no whole gradient, as they run; what gives a part of one, and no wrong line depends on, is behind.

    What makes a gradient that is ``right`` when it is returned is left out: it may be made in parts, of which none is one.
    """
    open_lines = [line for line in lines if line.clean and line.known < WHOLE]
    open_lines = [line for line in open_lines if written_to(line.function, line.statement) not in right]
    places = {line.statement: (line.function, target_of(line.function, line.statement)) for line in lines}
    needed: set[ast.stmt] = set()
    waiting = [line for line in open_lines if line.known == UNKNOWN]
    while waiting:
        line = waiting.pop()
        makers = {maker for name in line.reads for maker in _makers(line, name, lines, places)} - needed
        needed |= makers
        waiting += [x for x in open_lines if x.statement in makers]
    return sorted(open_lines, key=lambda x: (is_collected(x), x.known != UNKNOWN and x.statement not in needed))


def first_of(lines: Sequence[Seen]) -> list[Seen]:
    """The first of the lines, and the first among them that gives nothing, however many give a part before it."""
    first, behind = list(lines[:FIRST]), lines[FIRST:]
    return first if any(line.known == UNKNOWN for line in first) else [*first, *[x for x in behind if x.known == UNKNOWN][:1]]


def groups(first: list[Seen], lines: Sequence[Seen], calls: Sequence[Seen]) -> Iterator[list[Seen]]:
    """The lines in which to look, one group after the other.

    The first that gives no gradient, with those that write to the same place, and those that give one, but perhaps that of
    something else: since several that give none need it, or it or the first only hands on, or the first computes with what
    its function is handed in one of the ``calls``; the others that give none.
    """
    places = {line.statement: (line.function, target_of(line.function, line.statement)) for line in lines}
    same = [x for x in lines if first and x not in first[:1] and places[x.statement] == places[first[0].statement]]
    needed = Counter(maker for line in first for name in set(line.reads) for maker in _makers(line, name, lines, places))
    idle = [x for x in lines if first and x.function is first[0].function and _is_idle(first[0], x)]
    made = {place for x in idle if (place := places[x.statement])[1] in first[0].reads}
    shared = [x for x in lines if x not in first and needed[x.statement] > 1]
    shared += [x for x in lines if places[x.statement] in made and x not in shared]
    marks = Counter(f"{line.mark:.9e}" for line in lines if line.mark)
    for x in lines if first else ():
        makes = any(x.statement in _makers(y, name, lines, places) for y in first[:2] for name in y.reads)
        if x not in shared and (_is_made_by(first[0], x) or (makes and (x.odd or marks[f"{x.mark:.9e}"] > 1))):
            shared.append(x._replace(odd=True))  # it gives a gradient, but another has that already, or another is called so
    begin = first[:1]
    if begin and begin[0].known == PART:  # a part may be all that it is to be: the first that is wrong, too, is looked at
        begin += [x for x in first[1:] if x.known == UNKNOWN and x not in same][:1]
    shared += [x for x in calls if any(_is_handed(line, x) for line in begin)]
    apart = {x.statement for x in (*first[:1], *same)}
    shared = [x for x in shared if x.statement not in apart]
    yield [*begin, *same, *shared]
    rest = [x for x in first if x not in begin and x not in same]
    yield rest[:2]
    yield rest[2:]


def _makers(
    line: Seen, name: str, lines: Sequence[Seen], places: Mapping[ast.stmt, tuple[Written, str]]
) -> list[ast.stmt]:
    """The lines that give a name its value for a line: the last before it that sets it, and all that add to it since."""
    writing = [x.statement for x in lines if places[x.statement] == (line.function, name)]
    before = [statement for statement in writing if statement.lineno < line.statement.lineno] or writing
    begin = max((k for k, statement in enumerate(before) if isinstance(statement, ast.Assign)), default=0)
    return before[begin:]


def _is_made_by(first: Seen, maker: Seen) -> bool:
    """Whether a line has made, a step before, what the first wrong one computes with: wherever it was handed on."""
    return any(abs(maker.made - read) <= CLOSE * abs(read) for read in first.given if read) and maker is not first


def _is_idle(first: Seen, maker: Seen) -> bool:
    """Whether a line collects what the first wrong one hands on, or should; or copies what that reads, ``dh = dhs[t]``."""
    if not first.mark:
        return isinstance(maker.statement, ast.AugAssign) or _is_begun_before(maker)
    copied = getattr(maker.statement, "value", None)
    return isinstance(maker.statement, ast.Assign) and isinstance(copied, ast.Name | ast.Attribute | ast.Subscript)


def _is_begun_before(line: Seen) -> bool:
    """Whether a line gives a value to what has one already: ``dW = d @ x.T`` behind ``dW = np.zeros_like(W)``."""
    target = target_of(line.function, line.statement)
    before = (s for s in line.function.statements if isinstance(s, ast.Assign) and s.lineno < line.statement.lineno)
    return any(target_of(line.function, statement) == target for statement in before)


def known_groups(first: list[Seen], lines: Sequence[Seen], calls: list[Seen]) -> Iterator[list[Seen]]:
    """The same where all lines give gradients, but perhaps not those that they should: what is handed on, then the others."""
    plain = (ast.Name, ast.Attribute, ast.Subscript)
    yield [*calls, *(line for line in lines if isinstance(getattr(line.statement, "value", None), plain))]
    yield from groups(first, lines, [])


def _is_handed(line: Seen, call: Seen) -> bool:
    """Whether a line computes with gradients that its function is handed in this call."""
    handed = {argument.arg for argument in line.function.tree.args.args} & {*line.reads}
    return bool(handed) and line.function.tree.name in _called(call.function, call.statement)


def _called(function: Written, statement: ast.stmt) -> set[str]:
    """What is called in a statement, ``self.cell_backward`` by the last part of its name."""
    called = [node.func for node in ast.walk(statement) if isinstance(node, ast.Call)]
    return {function.segment(node).rpartition(".")[2] for node in called}


def calls_of(state: State, seen: Mapping[ast.stmt, Any]) -> list[Seen]:
    """Where gradients are handed to another of the functions."""
    names = {function.tree.name for function in state.functions.values()}
    return [
        Seen(function, statement, WHOLE, clean, ())
        for function in state.functions.values()
        for statement, _ in all_statements(function.tree)
        if statement in seen and not hasattr(statement, "body") and _called(function, statement) & names
        for clean in (EARLY, 1)  # later it may be wrong
    ]
