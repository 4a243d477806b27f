"""A forward and a backward pass as a syntax tree, with what is what in it."""

from __future__ import annotations

import ast
import linecache
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Program", "Site", "assigned", "loaded", "names_in", "same_tree", "sites", "steps_of"]

counter = 0


def _copied(node: Any) -> Any:
    """A tree of its own, made several times faster than `copy.deepcopy` makes one."""
    other = type(node).__new__(type(node))
    for name, value in vars(node).items():
        if isinstance(value, list):
            value = [_copied(part) if isinstance(part, ast.AST) else part for part in value]
        vars(other)[name] = _copied(value) if isinstance(value, ast.AST) else value
    return other


class Program(NamedTuple):
    """The tree of a module with ``forward`` and ``backward``, and what it is about.

    Attributes:
        tree: the module.
        sizes: the shape of each parameter, by its name.
        state: the parts of the state, each with its example.
        package: the package that the module belongs to.
        options: what else ``forward`` is given, by name.
    """

    tree: ast.Module
    sizes: dict[str, tuple[int, ...]]
    state: dict[str, np.ndarray]
    package: str = ""
    options: dict[str, Any] = {}

    def copied(self) -> Program:
        """The same with a tree of its own."""
        return self._replace(tree=_copied(self.tree))

    def function(self, name: str) -> ast.FunctionDef:
        """One of the functions."""
        return next(node for node in self.tree.body if isinstance(node, ast.FunctionDef) and node.name == name)

    def loop(self, name: str = "backward") -> ast.For:
        """The loop over time."""
        return next(node for node in self.function(name).body if isinstance(node, ast.For))

    def step(self) -> list[str]:
        """What the backward pass takes of the forward pass at each step."""
        first = self.loop().body[0]
        assert isinstance(first, ast.Assign)
        return [name for name in names_in(first.targets[0]) if name != "_"]

    def kept(self) -> Program:
        """The same, with all that the forward pass computes in a step kept for the backward pass, as most people do."""
        other = self.copied()
        forward, backward = other.loop("forward"), other.loop()
        names = list(dict.fromkeys(name for line in forward.body if isinstance(line, ast.Assign) for name in assigned(line)))
        x = names_in(forward.target)
        for line in forward.body:
            if isinstance(line, ast.Expr) and ast.unparse(line).startswith("steps.append"):
                line.value.args = [_tuple([*x, *names])]  # type: ignore[attr-defined]
        backward.body[0].targets = [_tuple([*x, *names], ast.Store())]  # type: ignore[attr-defined]
        return other


class Site(NamedTuple):
    """A place in a tree: the node, where it hangs, and the statement that it is in."""

    node: ast.expr
    parent: ast.AST
    field: str
    index: int | None
    statement: ast.stmt

    def replace(self, text: str) -> None:
        """Put another expression there."""
        new = ast.parse(text, mode="eval").body
        if self.index is None:
            setattr(self.parent, self.field, new)
        else:
            getattr(self.parent, self.field)[self.index] = new


def sites(statements: list[ast.stmt]) -> Iterator[Site]:
    """Every expression of the right sides of statements, also of those inside of other statements."""
    for statement in steps_of(statements):
        if isinstance(statement, ast.Assign | ast.AugAssign):
            yield from _below(statement, "value", None, statement.value, statement)


def _below(parent: ast.AST, field: str, index: int | None, node: ast.expr, statement: ast.stmt) -> Iterator[Site]:
    yield Site(node, parent, field, index, statement)
    for name, value in ast.iter_fields(node):
        for k, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.expr):
                yield from _below(node, name, k, child, statement)


def steps_of(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements, with those inside of conditions and loops."""
    for statement in statements:
        yield statement
        if isinstance(statement, ast.If | ast.For):
            yield from steps_of(statement.body + statement.orelse)


def names_in(node: ast.AST) -> list[str]:
    """The names in an expression, in order."""
    return [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)]


def assigned(statement: ast.Assign) -> list[str]:
    """The variables that an assignment gives values to."""
    return [name for target in statement.targets for name in names_in(target)]


def same_tree(a: ast.AST, b: ast.AST) -> bool:
    """Whether two trees say the same."""
    return ast.dump(a) == ast.dump(b)


def loaded(source: str, package: str = "") -> Any:
    """The source as a module, whose lines can be looked up."""
    global counter
    counter += 1
    file = f"/planted/program_{counter}.py"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    module = types.ModuleType(f"{package}.planted" if package else "planted")
    module.__package__ = package
    exec(compile(source, file, "exec"), module.__dict__)
    return module


def _tuple(names: list[str], context: ast.expr_context | None = None) -> ast.Tuple:
    context = context or ast.Load()
    return ast.Tuple([ast.Name(name, context) for name in names], context)
