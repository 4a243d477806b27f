"""Whether all steps of a cell are alike, so that one of them can be recorded and repeated.

A class may say so itself: ``steps_alike = True``, or False. Of a class that does not say, the source is read. If its step
is a straight line of formulas, with no branch, no loop, nothing stored outside of local names and no call but of
functions that are known to do nothing else than compute, then it does the same at every time, whatever the values are.
Anything else, and all that cannot be read, counts as not alike: the step is then run anew for each time.
"""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, TypeGuard

import numpy as np

import minigrad
from minigrad import Tensor
from minigrad.module import Parameter

__all__ = ["steps_are_alike"]

FUNCTIONS: Final = (
    *(minigrad.tanh, minigrad.sigmoid, minigrad.concatenate, minigrad.split, minigrad.matmul),
    *(np.tanh, np.concatenate, np.split, np.matmul, np.dot, np.add, np.subtract, np.multiply, np.negative),
)
"""What a step may call."""

METHODS: Final = ("named", "tanh", "sigmoid")
"""Methods of tensors that a step may call."""

OPERATORS: Final = (ast.Add, ast.Sub, ast.Mult, ast.MatMult, ast.USub, ast.UAdd)

VALUES: Final = (Tensor, Parameter, int, float, np.float64, bool, str, type(None))
"""What the attributes and global names may be that a step reads; not what is derived from these and may do other things."""

ADVANCING: Final = ("step", "project", "recur")
"""The methods that make up a step."""


class NotStraight(Exception):
    """The source has something in it that is not known to do nothing else than compute."""


@dataclass
class Line:
    """What a function that is a straight line of formulas refers to."""

    own: set[str] = field(default_factory=set)
    """Attributes of its first argument that it reads."""
    methods: set[str] = field(default_factory=set)
    """Methods of its first argument that it calls."""
    names: set[tuple[str, ...]] = field(default_factory=set)
    """Global names that it reads, with attributes: ``("np", "pi")``."""
    calls: set[tuple[str, ...]] = field(default_factory=set)
    """Global names that it calls."""


def steps_are_alike(cell: Any, advance: str) -> bool:
    """Whether ``cell.step``, or what else ``advance`` names, does the same at every time.

    >>> from minigrad.models import LSTM
    >>> class Squashed:
    ...     def step(self, x, h):
    ...         return minigrad.tanh(h + x)
    >>> steps_are_alike(LSTM(3, 4), "step"), steps_are_alike(Squashed(), "step")
    (True, False)

    The second is not known to be alike, since a doctest has no file that its source could be read from.
    """
    said = vars(type(cell)).get("steps_alike")
    if said is None:
        return hasattr(cell, "__dict__") and _is_straight(cell, advance, ())
    return bool(said) and _is_as_defined(cell)


def _is_as_defined(cell: Any) -> bool:
    """Whether the methods that make up a step are still those of which the class spoke: none was replaced later."""
    kind, own = type(cell), getattr(cell, "__dict__", {})
    if any(name in own and hasattr(kind, name) for name in ADVANCING):
        return False
    as_defined = [vars(base) for base in kind.__mro__ if "_steps_as_defined" in vars(base)]
    return all(now.get(name) is method for now in as_defined for name, method in now["_steps_as_defined"])


def _is_straight(cell: Any, method: str, above: tuple[str, ...]) -> bool:
    kind = type(cell)
    function = _attribute(cell, method)
    if method in above or not isinstance(function, FunctionType) or method in vars(cell):
        return False
    if any("__getattribute__" in vars(base) or "__getattr__" in vars(base) for base in kind.__mro__[:-1]):
        return False
    line = _line_of(function.__code__)
    if line is None:
        return False
    return (
        all(type(_attribute(cell, name)) in VALUES for name in line.own)
        and all(type(_found(function, path)) in VALUES for path in line.names)
        and all(_is_known(_found(function, path)) for path in line.calls)
        and all(_is_straight(cell, name, (*above, method)) for name in line.methods)
    )


def _attribute(cell: Any, name: str) -> Any:
    """An attribute of the cell as it is stored: a property itself, not what it computes. The cell if there is none."""
    of_kind = next((vars(base)[name] for base in type(cell).__mro__ if name in vars(base)), cell)
    return vars(cell).get(name, of_kind) if of_kind is cell or type(of_kind) in VALUES else of_kind


def _found(function: FunctionType, path: tuple[str, ...]) -> Any:
    """What a global name stands for; the function itself, which is no value and cannot be called in it, if nothing."""
    found = function.__globals__.get(path[0], function)
    for name in path[1:]:
        found = vars(found).get(name, function) if type(found) is ModuleType else function
    return found


def _is_known(called: Any) -> bool:
    """Whether calling it does nothing else than compute: a function of the list, or the class of a named tuple."""
    if isinstance(called, type):
        made = getattr(called.__new__, "__code__", None)  # of a named tuple it is generated, in no file
        return called.__base__ is tuple and hasattr(called, "_fields") and made is not None and made.co_filename[0] == "<"
    return any(called is function for function in FUNCTIONS)


@lru_cache(maxsize=256)
def _line_of(code: CodeType) -> Line | None:
    """What a function refers to, or None if it is not a straight line or cannot be read."""
    if code.co_freevars:  # names of an enclosing function hide global ones
        return None
    try:
        file = inspect.findsource(code)[0]
        module = ast.parse("".join(file))
        if not _contains(compile(module, code.co_filename, "exec", dont_inherit=True), code):
            return None
        (definition,) = (node for node in ast.walk(module) if _is_definition(node, code))
        return _Reader(definition).line
    except (OSError, SyntaxError, TypeError, ValueError, NotStraight):
        return None


def _contains(whole: CodeType, code: CodeType) -> bool:
    """Whether the file, as it is now, still has the function that runs: it may have been changed after the import."""
    parts = [part for part in whole.co_consts if isinstance(part, CodeType)]
    return any(part == code or _contains(part, code) for part in parts)


def _is_definition(node: ast.AST, code: CodeType) -> TypeGuard[ast.FunctionDef]:
    """Whether a function is defined here, without decorators."""
    return isinstance(node, ast.FunctionDef) and (node.name, node.lineno) == (code.co_name, code.co_firstlineno)


class _Reader:
    """Reads the definition of a function, statement by statement."""

    def __init__(self, definition: ast.FunctionDef) -> None:
        given = definition.args
        if definition.decorator_list or given.defaults or given.vararg or given.kwarg or given.kwonlyargs or not given.args:
            raise NotStraight
        self.line = Line()
        self.me = given.args[0].arg
        self.local = {argument.arg for argument in (*given.posonlyargs, *given.args[1:])}
        body = definition.body
        if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            body = body[1:]
        for statement in body[:-1]:
            if not isinstance(statement, ast.Assign):
                raise NotStraight
            self.value(statement.value)
            for target in statement.targets:
                self.assigned(target)
        last = body[-1]
        if not isinstance(last, ast.Return) or last.value is None:
            raise NotStraight
        self.value(last.value)

    def assigned(self, target: ast.expr) -> None:
        """A local name, or a tuple of them."""
        if isinstance(target, ast.Tuple | ast.List):
            for part in target.elts:
                self.assigned(part)
        elif isinstance(target, ast.Name) and target.id != self.me:
            self.local.add(target.id)
        else:
            raise NotStraight

    def value(self, node: ast.expr | None) -> None:
        """An expression that does nothing else than compute."""
        match node:
            case None | ast.Constant():
                pass
            case ast.Name(name) if name in self.local:
                pass
            case ast.Name(name) if name != self.me:
                self.line.names.add((name,))
            case ast.Attribute(ast.Name(name), attribute) if name == self.me:
                self.line.own.add(attribute)
            case ast.Attribute(of, "T"):
                self.value(of)
            case ast.Attribute():
                self.line.names.add(self.path(node))
            case ast.BinOp(left, operator, right) if isinstance(operator, OPERATORS):
                self.value(left)
                self.value(right)
            case ast.UnaryOp(operator, operand) if isinstance(operator, OPERATORS):
                self.value(operand)
            case ast.Tuple(parts) | ast.List(parts):
                for part in parts:
                    self.value(part)
            case ast.Subscript(of, index):
                self.value(of)
                self.value(index)
            case ast.Slice(start, stop, step):
                for bound in (start, stop, step):
                    self.value(bound)
            case ast.Call(called, arguments, keywords):
                self.called(called)
                for argument in (*arguments, *(keyword.value for keyword in keywords)):
                    self.value(argument)
            case _:
                raise NotStraight

    def called(self, function: ast.expr) -> None:
        """A function that may be called: a global one, a method of one's own, or one of a tensor."""
        match function:
            case ast.Attribute(ast.Name(name), method) if name == self.me:
                self.line.methods.add(method)
            case ast.Name(name) if name not in self.local:
                self.line.calls.add((name,))
            case ast.Attribute(of, method) if method in METHODS and not self.is_global(of):
                self.value(of)
            case ast.Attribute():
                self.line.calls.add(self.path(function))
            case _:
                raise NotStraight

    def is_global(self, node: ast.expr) -> bool:
        """Whether it is a global name, such as that of a module."""
        return isinstance(node, ast.Name) and node.id not in self.local and node.id != self.me

    def path(self, node: ast.expr) -> tuple[str, ...]:
        """A global name with attributes, such as ``np.pi``."""
        match node:
            case ast.Name(name) if self.is_global(node):
                return (name,)
            case ast.Attribute(of, attribute):
                return (*self.path(of), attribute)
        raise NotStraight
