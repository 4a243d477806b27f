"""Other ways to write an expression that is there: operands lost, too many, exchanged, transposed, summed, of another sign."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from minigrad.checks import names
from minigrad.checks.located.phrases import tight
from minigrad.checks.located.written import Written

__all__ = ["rewritten", "step_before"]


def rewritten(function: Written, node: ast.expr) -> Iterator[str]:
    """The ways to write ``node`` otherwise, each a mistake or its correction."""

    def text(inner: ast.expr) -> str:
        return function.segment(inner)

    if isinstance(node, ast.BinOp):
        left, right = text(node.left), text(node.right)
        yield left
        if not isinstance(node.op, ast.Div | ast.Pow):
            yield right
        if isinstance(node.op, ast.Sub):
            yield f"{left} + {right}"
            yield f"{right} - {_inner(node.left, left)}"
            if not isinstance(node.left, ast.Constant):  # a 1 is lost, and never added to a derivative
                yield f"-{tight(right)}"
        if isinstance(node.op, ast.Add):
            yield f"{left} - {_inner(node.right, right)}"
            yield f"{right} - {_inner(node.left, left)}"
        if isinstance(node.op, ast.MatMult):
            yield f"{tight(right)} @ {tight(left)}"
            yield f"{left} * {right}"
            yield from (f"{one} @ {other}" for one, other in _turned(function, node.left, node.right))
        if isinstance(node.op, ast.Mult):
            yield f"{left} / {_inner(node.right, right)}"
            for number, other in ((node.left, node.right), (node.right, node.left)):
                if isinstance(number, ast.Constant):  # beside a factor that does not belong, 2 * d.mean(axis=0)
                    yield from rewritten(function, other)
        if isinstance(node.op, ast.Pow):
            yield f"{left}**2"
        yield from _of_the_other_curve(function, node)
        yield from _regrouped(function, node)
        if isinstance(node.op, ast.MatMult):
            yield from _moved_across(function, node.left, node.right, "{} @ {}")
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield text(node.operand)
    elif isinstance(node, ast.IfExp):
        yield text(node.body)
        yield text(node.orelse)
        yield f"{text(node.body)} + {text(node.orelse)}"
        for moved, counter in _of_other_steps(function, node.body):
            yield moved
            yield f"{moved} if {counter} > 0 else {text(node.orelse)}"
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        yield from (f"{value:g}" for value in (node.value + 1, node.value - 1, 1, -node.value) if value != node.value)
    elif isinstance(node, ast.Call):
        yield from _called(function, node)
        yield from (other for other, _ in _of_other_steps(function, node))
    elif isinstance(node, ast.Subscript):
        yield from _indexed(function, node)
    elif isinstance(node, ast.Name) and (names.is_upstream(node.id) or names.is_gradient(node.id)):
        ends = dict.fromkeys(loop.last for loop in _loops(function) if node in loop.nodes and node.id not in loop.stored)
        yield from (f"{node.id} if {last} else 0 * {node.id}" for last in ends)
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield text(node.value)
    elif not isinstance(node, ast.Constant):
        primary = isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Call)
        yield f"{text(node)}.T" if primary else f"({text(node)}).T"
        if not isinstance(node, ast.UnaryOp):
            yield f"-{tight(text(node))}"


def _of_other_steps(function: Written, node: ast.expr) -> Iterator[tuple[str, str]]:
    """What is taken out of a list by a counter, and given another shape: the same of the steps beside; with the counter."""
    for inner in (part for part in ast.walk(node) if isinstance(part, ast.Subscript) and part is not node):
        index = inner.slice.left if isinstance(inner.slice, ast.BinOp) else inner.slice
        if isinstance(index, ast.Name) and index.id in function.counters:
            for other in (f"{index.id} - 1", index.id, f"{index.id} + 1"):
                if function.segment(inner.slice).replace(" ", "") != other.replace(" ", ""):
                    yield function.segment(node, [(inner.slice, other)]), index.id


def _of_the_other_curve(function: Written, node: ast.BinOp) -> Iterator[str]:
    """What a sigmoid's derivative is made of, in the place of tanh's: y (1 − y) for 1 − y²."""
    square = node.right
    one = isinstance(node.op, ast.Sub) and isinstance(node.left, ast.Constant) and node.left.value == 1
    if one and isinstance(square, ast.BinOp) and isinstance(square.op, ast.Pow):
        value = tight(function.segment(square.left))
        yield f"{value} * (1 - {value})"


def _turned(function: Written, left: ast.expr, right: ast.expr) -> Iterator[tuple[str, str]]:
    """The factors of a matrix product, each transposed if it was not: an outer product for an inner one, and back."""
    turned = [_transposed(function, factor) for factor in (left, right)]
    if sum(len(text) < len(function.segment(factor)) for text, factor in zip(turned, (left, right), strict=True)) == 1:
        yield turned[0], turned[1]


def _transposed(function: Written, node: ast.expr) -> str:
    if isinstance(node, ast.Attribute) and node.attr == "T":
        return function.segment(node.value)
    text = function.segment(node)
    return f"{text}.T" if isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Call) else f"({text}).T"


def _indexed(function: Written, node: ast.Subscript) -> Iterator[str]:
    """The same of other entries: a slice without its first for one without its last, and the last but one for the last."""
    base, index = function.segment(node.value), node.slice
    if isinstance(index, ast.Slice) and index.step is None:
        bounds = [function.segment(bound).replace(" ", "") if bound is not None else "" for bound in (index.lower, index.upper)]
        other = {("", "-1"): "1:", ("1", ""): ":-1", ("1", "-1"): "1:"}.get((bounds[0], bounds[1]))
        yield from [f"{base}[{other}]"] if other else []
    elif function.segment(index).replace(" ", "") == "-1":
        yield f"{base}[-2]"
    elif (before := step_before(function, index)) is not None:
        text = function.segment(node)
        yield f"{text} if {before} > 0 else 0 * {text}"
    yield from _other_end(function, node)


def _other_end(function: Written, node: ast.Subscript) -> Iterator[str]:
    """As many entries of the other end: the part of the input for that of the state, where both were joined."""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for part in parts:
        if isinstance(part, ast.Slice) and part.step is None and (part.lower is None) != (part.upper is None):
            bound = part.upper or part.lower
            assert bound is not None
            negative = isinstance(bound, ast.UnaryOp) and isinstance(bound.op, ast.USub)
            text = function.segment(bound.operand) if isinstance(bound, ast.UnaryOp) else f"-{tight(function.segment(bound))}"
            if negative or not isinstance(bound, ast.UnaryOp):
                yield function.segment(node, [(part, f"{text}:" if part.lower is None else f":{text}")])


def step_before(function: Written, index: ast.expr) -> str | None:
    """The counter of an index of the step before, t of t − 1."""
    counted = isinstance(index, ast.BinOp) and isinstance(index.op, ast.Sub) and function.segment(index.right) == "1"
    name = function.segment(index.left) if counted and isinstance(index, ast.BinOp) else ""
    return name if name in function.counters else None


class _Loop(NamedTuple):
    """A loop over steps: its nodes, the names that are written to in it, and what is true at the last step alone."""

    nodes: frozenset[ast.AST]
    stored: frozenset[str]
    last: str


@lru_cache(maxsize=64)
def _loops(function: Written) -> tuple[_Loop, ...]:
    """The loops over range(n), forwards or backwards."""
    found = []
    for loop in function.nodes:
        if not isinstance(loop, ast.For) or not isinstance(loop.target, ast.Name):
            continue
        steps = loop.iter
        if isinstance(steps, ast.Call) and function.segment(steps.func) == "reversed" and len(steps.args) == 1:
            steps = steps.args[0]
        if isinstance(steps, ast.Call) and function.segment(steps.func) == "range" and len(steps.args) == 1:
            nodes = frozenset(node for statement in loop.body for node in ast.walk(statement))
            stored = frozenset(n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
            found.append(_Loop(nodes, stored, f"{loop.target.id} == {tight(function.segment(steps.args[0]))} - 1"))
    return tuple(found)


def _inner(node: ast.expr, text: str) -> str:
    """The text of the second operand of a difference."""
    return tight(text) if isinstance(node, ast.BinOp) else text


def _regrouped(function: Written, node: ast.BinOp) -> Iterator[str]:
    """Brackets set otherwise: (a + b) * c for a + b * c, and back."""
    if isinstance(node.op, ast.Add | ast.Sub):
        sign = "+" if isinstance(node.op, ast.Add) else "-"
        left, right = _factors(node.left), _factors(node.right)
        for k in range(1, len(right)):
            yield f"({function.segment(node.left)} {sign} {_product(function, right[:k])}) * {_product(function, right[k:])}"
        for k in range(1, len(left)):
            yield f"{_product(function, left[:k])} * ({_product(function, left[k:])} {sign} {function.segment(node.right)})"
    elif isinstance(node.op, ast.Mult):
        factors = _factors(node)
        for k, factor in enumerate(factors):
            if isinstance(factor, ast.BinOp) and isinstance(factor.op, ast.Add | ast.Sub):
                sign = "+" if isinstance(factor.op, ast.Add) else "-"
                rest = [other for j, other in enumerate(factors) if j != k]
                first, second = function.segment(factor.left), function.segment(factor.right)
                yield f"{first} {sign} {tight(second)} * {_product(function, rest)}"
                yield f"{tight(first)} * {_product(function, rest)} {sign} {second}"


def _moved_across(function: Written, left: ast.expr, right: ast.expr, product: str) -> Iterator[str]:
    """A factor of one side of a matrix product on the other side, or beside the product: d @ (r * h).T for d * r @ h.T."""
    dotted = "(" in product
    for here, other, turned in ((left, right, False), (right, left, True)):
        factors = _factors(here)
        transposed = isinstance(other, ast.Attribute) and other.attr == "T"
        inner = other.value if isinstance(other, ast.Attribute) and transposed else other
        for k, factor in enumerate(factors) if len(factors) > 1 else ():
            rest = _product(function, [part for j, part in enumerate(factors) if j != k])
            kept = rest if len(factors) == 2 or dotted else f"({rest})"
            moved = f"{tight(function.segment(factor))} * {tight(function.segment(inner))}"
            moved = f"({moved}).T" if transposed else moved if dotted else f"({moved})"
            apart = function.segment(other) if dotted else tight(function.segment(other))
            yield product.format(*((moved, kept) if turned else (kept, moved)))
            beside = _bracketed(product.format(*((apart, kept) if turned else (kept, apart))))
            yield f"{beside} * {tight(function.segment(factor))}"


def _bracketed(text: str) -> str:
    """A matrix product as a factor."""
    return text if text.endswith(")") and not text.startswith("(") and " @ " not in text else f"({text})"


def _factors(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*_factors(node.left), *_factors(node.right)]
    return [node]


def _product(function: Written, factors: list[ast.expr]) -> str:
    return " * ".join(tight(function.segment(factor)) for factor in factors)


def _called(function: Written, node: ast.Call) -> Iterator[str]:
    """Another function of the same arguments, the same of others, or the argument itself."""
    called = function.segment(node.func)
    arguments = [function.segment(argument) for argument in node.args]
    name = called.rpartition(".")[2]
    if len(arguments) == 2 and not node.keywords and name in ("dot", "matmul", "multiply"):
        yield f"{called}({arguments[1]}, {arguments[0]})"
        if name != "multiply":
            yield from _moved_across(function, node.args[0], node.args[1], called + "({}, {})")
        yield f"{tight(arguments[0])} * {tight(arguments[1])}"
        yield from (f"{called}({one}, {other})" for one, other in _turned(function, *node.args))
    elif len(arguments) == 1 and not node.keywords:
        yield arguments[0]
    if name not in ("sum", "mean"):
        return
    method = isinstance(node.func, ast.Attribute) and not arguments
    array = function.segment(node.func.value) if method and isinstance(node.func, ast.Attribute) else (arguments or [""])[0]
    owner = array if method else called.rpartition(".")[0]
    sums = f"{owner}.sum" if "." in called else "sum"
    options = [function.segment(option) for option in (*node.args[not method :], *node.keywords)]
    if name == "mean":
        yield f"{sums}({', '.join([] if method else [array])}{', ' * (not method and bool(options))}{', '.join(options)})"
    axes = [k for k, option in enumerate(options) if option.startswith("axis") or option.isdigit()]
    for axis in ("0", "1", "2"):
        others = [f"axis={axis}" if k in axes[:1] else option for k, option in enumerate(options)]
        others = others if axes else [*others, f"axis={axis}", "keepdims=True"]
        yield f"{sums}({', '.join(([] if method else [array]) + others)})"
    yield array
