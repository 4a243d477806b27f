"""One of the user's functions as it is written: its text, its tree, and how to run it with other lines in their place."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from types import CodeType, FunctionType
from typing import TypeAlias, TypeVar

__all__ = ["Places", "Written", "placed", "running_as", "taken_as", "written"]

Node = TypeVar("Node", bound=ast.AST)

Places: TypeAlias = Sequence[tuple[ast.AST, str]]
"""Nodes of a tree, and the texts that are to stand in their place."""


class Written:
    """A function as a tree whose nodes know where they stand in its text.

    Args:
        function: the user's.
        text: its source, not indented.
        first: the number of its first line in the file.
    """

    def __init__(self, function: FunctionType, text: str, first: int) -> None:
        self.function, self.text, self.first = function, text, first
        self._bytes = text.encode()
        self._code: CodeType | None = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (definition,) = ast.parse(text).body
        if not isinstance(definition, ast.FunctionDef):
            raise SyntaxError("not a function that is written as such")
        self.tree = definition
        self.starts = [0]
        for line in self._bytes.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    @cached_property
    def statements(self) -> tuple[ast.stmt, ...]:
        """The function itself and all statements in it."""
        return tuple(node for node in self.nodes if isinstance(node, ast.stmt))

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """The function itself and everything in it, as `ast.walk` goes through it."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def counters(self) -> tuple[str, ...]:
        """What its loops count with."""
        loops = [node for node in self.nodes if isinstance(node, ast.For)]
        return tuple(dict.fromkeys(n.id for loop in loops for n in ast.walk(loop.target) if isinstance(n, ast.Name)))

    @cached_property
    def stored(self) -> frozenset[str]:
        """The names that it writes to."""
        return frozenset(n.id for n in self.nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))

    def line(self, node: ast.AST) -> int:
        """The number of a node's line in the file."""
        return self.first + node.lineno - 1  # type: ignore[attr-defined,no-any-return]

    def _span(self, node: ast.AST) -> tuple[int, int]:
        start, stop = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
        return self.starts[start[0] - 1] + start[1], self.starts[stop[0] - 1] + stop[1]

    def in_brackets(self, node: ast.AST) -> bool:
        """Whether an expression stands in brackets of its own, and is not what a function is called with."""
        begin, end = self._span(node)
        before = self._bytes[:begin].rstrip()
        around = before[-1:] == b"(" and self._bytes[end:].lstrip()[:1] == b")"
        return around and not re.search(rb"[\w)\]]\($", before)

    def segment(self, node: ast.AST, places: Places = ()) -> str:
        """The text of a node, with other texts in the place of some of the nodes in it.

        An expression over several lines gets the brackets around it that its lines are held together by.
        """
        begin, end = self._span(node)
        text = self._bytes
        parts, here = [], begin
        for inner, new in sorted(places, key=lambda place: self._span(place[0])):
            start, stop = self._span(inner)
            parts += [text[here:start], new.encode()]
            here = stop
        found = b"".join([*parts, text[here:end]]).decode()
        return f"({found})" if "\n" in found and isinstance(node, ast.expr) and not _is_whole(found) else found

    def replaced(self, places: Places) -> Written:
        """The function with other texts in the place of some of its nodes."""
        return Written(self.function, self.segment(self.tree, places), self.first)

    def compiled(self, tree: ast.FunctionDef | None = None) -> CodeType:
        """The code of the function, or of another tree for it, to run in its place."""
        if tree is not None:
            return self._compiled(tree)
        if self._code is None:
            self._code = self._compiled(self.tree)
        return self._code

    def _compiled(self, tree: ast.FunctionDef) -> CodeType:
        free = self.function.__code__.co_freevars
        bare = ast.copy_location(ast.FunctionDef(tree.name, tree.args, [*tree.body, *_mentioned(free)], [], None), tree)
        bare.args = ast.parse(f"def f({_parameters(tree)}): pass").body[0].args  # type: ignore[attr-defined]
        outer = ast.parse("def outer():\n    " + "".join(f"{name} = " for name in free) + "None").body[0]
        assert isinstance(outer, ast.FunctionDef)
        outer.body.append(bare)
        module = ast.Module([outer], [])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(module, self.function.__code__.co_filename, "exec", dont_inherit=True)
        for _ in range(2):
            code = next(constant for constant in code.co_consts if isinstance(constant, CodeType))
        return _moved_down(code, self.first - 1)


def placed(node: Node, at: ast.AST) -> Node:
    """A new node, and the new ones in it, at the place of another: Python compiles nothing that has none."""
    return ast.fix_missing_locations(ast.copy_location(node, at))


def _is_whole(text: str) -> bool:
    """Whether a text over several lines can stand by itself."""
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        return False
    return True


def _moved_down(code: CodeType, lines: int) -> CodeType:
    """The code, and what is defined in it, so many lines further down in its file."""
    consts = tuple([_moved_down(part, lines) if isinstance(part, CodeType) else part for part in code.co_consts])
    return code.replace(co_firstlineno=code.co_firstlineno + lines, co_consts=consts)


def _mentioned(free: Sequence[str]) -> list[ast.stmt]:
    """A statement that does nothing and mentions variables of an enclosing function, all of which the code has to have."""
    return ast.parse("if False:\n    " + ", ".join(free)).body if free else []


def _parameters(tree: ast.FunctionDef) -> str:
    """The parameters without defaults and annotations, which belong to the function and not to its code."""
    args = tree.args
    parts = [arg.arg for arg in args.posonlyargs] + (["/"] if args.posonlyargs else []) + [arg.arg for arg in args.args]
    parts += [f"*{args.vararg.arg}"] if args.vararg else ["*"] if args.kwonlyargs else []
    parts += [arg.arg for arg in args.kwonlyargs] + ([f"**{args.kwarg.arg}"] if args.kwarg else [])
    return ", ".join(parts)


def written(function: FunctionType) -> Written | None:
    """The function as it is written; None if its source cannot be had, or says something else than what is run."""
    if function.__code__ in TAKEN:
        return TAKEN[function.__code__]
    try:
        lines, first = inspect.getsourcelines(function.__code__)
        found = Written(function, textwrap.dedent("".join(map(_with_spaces, lines))), first)
        code = found.compiled()
    except (OSError, SyntaxError, ValueError, TypeError, StopIteration):
        return None
    same = code.co_freevars == function.__code__.co_freevars and code.co_names == function.__code__.co_names
    return found if same and found.tree.name == function.__name__ else None


def _with_spaces(line: str) -> str:
    """A line of source indented by spaces as far as by tabs: lines are put beside others by their columns."""
    text = line.lstrip(" \t")
    return line[: len(line) - len(text)].expandtabs() + text


TAKEN: dict[CodeType, Written] = {}
"""Functions as they are taken to be written, by their code, while that is run."""


@contextmanager
def taken_as(function: Written) -> Iterator[None]:
    """While it lasts, a function is taken to be written so, and run so: with a line in it that runs, where it raised."""
    code = function.compiled()
    TAKEN[code] = function
    try:
        with running_as({function.function: code}):
            yield
    finally:
        del TAKEN[code]


@contextmanager
def running_as(codes: Mapping[FunctionType, CodeType]) -> Iterator[None]:
    """While it lasts, functions run other code."""
    before = {function: function.__code__ for function in codes}
    try:
        for function, code in codes.items():
            function.__code__ = code
        yield
    finally:
        for function, code in before.items():
            function.__code__ = code
