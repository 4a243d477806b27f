"""Other ways to write a statement: accumulated or not, left out, in another order, in another loop."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from minigrad.checks import names
from minigrad.checks.located.phrases import tight
from minigrad.checks.located.written import Places, Written
from minigrad.checks.rates import RATE

INDEX = "index as a vector"
BRACKETS = "operator precedence"
OWN = "moved by itself"
SOFTMAX = "softmax derivative"

ONCE = "of the last step alone"

__all__ = [
    "INDEX", "ONCE", "SOFTMAX", "all_statements", "at_the_last_step", "back_from_each_step", "carried_on", "moved_inside",
    "rewritten_statement",
]  # fmt: skip


def all_statements(tree: ast.AST) -> Iterator[tuple[ast.stmt, list[ast.stmt]]]:
    """Every statement in a function, with the block that it is in; not those of functions inside."""
    for name in ("body", "orelse", "finalbody"):
        found = getattr(tree, name, None)
        block: list[ast.stmt] = found if isinstance(found, list) else []
        for statement in block:
            yield statement, block
            if not isinstance(statement, ast.FunctionDef | ast.ClassDef):
                yield from all_statements(statement)


def rewritten_statement(function: Written, statement: ast.stmt, block: list[ast.stmt]) -> Iterator[tuple[Places, str]]:
    """(what stands where instead, what kind of mistake that corrects)."""
    text = function.segment(statement)
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = function.segment(statement.targets[0]), function.segment(statement.value)
        if not isinstance(statement.targets[0], ast.Tuple | ast.List):
            yield [(statement, f"{target} += {value}")], "overwritten, not accumulated"
        if isinstance(place := statement.targets[0], ast.Subscript) and isinstance(place.slice, ast.Name | ast.Constant):
            base, key = function.segment(place.value), function.segment(place.slice)
            yield [(statement, f"{target} = {base}.get({key}, 0) + {value}")], "overwritten, not accumulated"
    if isinstance(statement, ast.AugAssign):
        target, value = function.segment(statement.target), function.segment(statement.value)
        if isinstance(statement.op, ast.Add | ast.Sub):
            yield [(statement, f"{target} = {value}")], "state gradient accumulated"
        if isinstance(statement.op, ast.Sub):
            yield [(statement, f"{target} += {value}")], "sign"
            if isinstance(statement.target, ast.Subscript):
                targets = [arg.arg for arg in function.tree.args.args] if isinstance(statement.value, ast.Constant) else []
                yield from (([(statement.value, other)], SOFTMAX) for other in ("1", *targets))
        if isinstance(statement.op, ast.Add):
            yield [(statement, f"{target} -= {value}")], "sign"
        yield from _at_index(function, statement)
        yield from (([(node, other)], OWN) for node, other in _by_itself(function, statement))
        yield from (([(statement.value, other)], "") for other in _at_the_rate_of_others(function, statement))
        if isinstance(statement.op, ast.Mult):
            yield from (([(statement, f"{target} = {new}")], BRACKETS) for new in _multiplied_inside(function, statement))
    if isinstance(statement, ast.Assign | ast.AugAssign | ast.Expr) and len(block) > 1:
        yield [(statement, "pass")], "a line too many"
    if isinstance(statement, ast.For):
        for new in _iterated(function, statement.iter):
            reverse = "reversed" in function.segment(statement.iter) or "-1)" in function.segment(statement.iter)
            turned = reverse != ("reversed" in new or "-1)" in new)
            yield [(statement.iter, new)], "loop in the wrong direction" if turned else "a step is skipped"
    simple = isinstance(statement, ast.If) and not statement.orelse and not isinstance(statement.test, ast.Constant)
    if simple and isinstance(statement, ast.If) and not any(isinstance(s, ast.Return) for s in statement.body):
        yield [(statement.test, "True")], "a step is skipped"
        yield [(statement.test, "False")], "a line too many"
    index = block.index(statement)
    if isinstance(statement, ast.Assign | ast.AugAssign):
        for other in block[index + 1 : index + 4]:
            if isinstance(other, ast.Assign | ast.AugAssign):
                yield [(statement, function.segment(other)), (other, text)], "lines in the wrong order"
    yield from _targets(function, statement)
    yield from _taken_out(function, statement)


def _by_itself(function: Written, statement: ast.AugAssign) -> Iterator[tuple[ast.AST, str]]:
    """Where something is moved by itself, ``b -= lr * b``: what it stands for there, its gradient."""
    moved = function.segment(statement.target)
    inside = [n for n in ast.walk(statement.value) if isinstance(n, ast.Name | ast.Attribute) and function.segment(n) == moved]
    if inside:
        named = [n for n in ast.walk(function.tree) if isinstance(n, ast.Name | ast.Attribute)]
        for text in dict.fromkeys(function.segment(n) for n in named if isinstance(n.ctx, ast.Store)):
            name = text.rpartition(".")[2]
            if names.stem(name) == moved.rpartition(".")[2] != name:
                yield from ((node, text) for node in inside)


def _at_the_rate_of_others(function: Written, statement: ast.AugAssign) -> Iterator[str]:
    """What weights are moved by, times the rate that others are moved at: ``rate * db`` beside ``W -= rate * dW``."""
    named = {function.segment(n) for n in ast.walk(statement.value) if isinstance(n, ast.Name | ast.Attribute)}
    for other in function.nodes:
        if isinstance(other, ast.AugAssign) and isinstance(other.value, ast.BinOp) and isinstance(other.value.op, ast.Mult):
            rate = function.segment(other.value.left)
            if type(other.op) is type(statement.op) and RATE.match(rate.rpartition(".")[2]) and rate not in named:
                yield f"{rate} * {tight(function.segment(statement.value))}"
                return


def _multiplied_inside(function: Written, statement: ast.AugAssign) -> Iterator[str]:
    """``W.T.dot(d) * slope`` for ``d * W.T.dot(slope)``."""
    value, target = statement.value, function.segment(statement.target)
    pair: list[ast.expr] = []
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.MatMult):
        pair = [value.left, value.right]
    elif isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in ("dot", "matmul"):
        pair = [*value.args] if len(value.args) == 2 else [value.func.value, *value.args]
    if len(pair) == 2:
        for inside in pair:
            slope = function.segment(inside)
            slope = f"({slope})" if isinstance(inside, ast.BinOp) else slope
            yield f"{function.segment(value, [(inside, target)])} * {slope}"


def _at_index(function: Written, statement: ast.AugAssign) -> Iterator[tuple[Places, str]]:
    """What is added at an index, a column or a row, for the outer product with that index: it stands for a unit vector."""
    value = statement.value
    if not isinstance(value, ast.Call) or len(value.args) != 2 or not isinstance(statement.target, ast.Name | ast.Attribute):
        return
    if function.segment(value.func).rpartition(".")[2] not in ("outer", "dot", "matmul", "multiply"):
        return
    target = function.segment(statement.target)
    for index, other, where in ((value.args[1], value.args[0], ":, {}"), (value.args[0], value.args[1], "{}")):
        if isinstance(index, ast.Subscript) and isinstance(index.slice, ast.Name):
            base, counted = function.segment(index.value), function.counters
            for name in counted if index.slice.id in counted else (index.slice.id,):
                yield [(statement, f"{target}[{where.format(f'{base}[{name}]')}] += {function.segment(other)}")], INDEX


def back_from_each_step(function: Written) -> Iterator[ast.stmt]:
    """What stands in a loop that goes back from each step in turn, with an inner one from there: gradients come in parts."""
    for outer in function.statements:
        if not isinstance(outer, ast.For):
            continue
        counted = {node.id for node in ast.walk(outer.target) if isinstance(node, ast.Name)}
        inner = [node for part in outer.body for node in ast.walk(part) if isinstance(node, ast.For)]
        if any(isinstance(node, ast.Name) and node.id in counted for loop in inner for node in ast.walk(loop.iter)):
            yield from (node for part in outer.body for node in ast.walk(part) if isinstance(node, ast.stmt))


def _iterated(function: Written, node: ast.expr) -> Iterator[str]:
    """The loop over one step more at either end, in the other direction, or to where max and min say that it may go."""
    text = function.segment(node)
    if isinstance(node, ast.Subscript) and function.segment(node.slice).replace(" ", "") == "::-1":
        yield function.segment(node.value)
        yield from (f"{inner}[::-1]" for inner in _iterated(function, node.value) if not inner.startswith("reversed"))
    elif isinstance(node, ast.Call) and function.segment(node.func) in ("range", "reversed", "np.arange", "numpy.arange"):
        called = function.segment(node.func)
        if called == "reversed" and len(node.args) == 1:
            yield function.segment(node.args[0])
            yield from (f"reversed({inner})" for inner in _iterated(function, node.args[0]) if not inner.startswith("reversed"))
        elif called != "reversed":
            bounds = [function.segment(bound) for bound in node.args]
            yield f"reversed({text})"
            if len(bounds) == 3:
                yield f"{called}({bounds[0]}, {moved(node.args[1], bounds[1], -1)}, {bounds[2]})"
                yield f"{called}({moved(node.args[0], bounds[0], 1)}, {bounds[1]}, {bounds[2]})"
                yield f"{called}({moved(node.args[0], bounds[0], 1)}, {moved(node.args[1], bounds[1], -1)}, {bounds[2]})"
            else:
                yield f"{called}({', '.join([*bounds[:-1], moved(node.args[-1], bounds[-1], 1)])})"
            if len(bounds) == 2:
                yield f"{called}({moved(node.args[0], bounds[0], -1)}, {bounds[1]})"
                yield f"{called}({bounds[1]})"
            for k, bound in enumerate(node.args):
                if isinstance(bound, ast.Call) and function.segment(bound.func) in ("max", "min"):
                    ends = map(function.segment, bound.args)
                    yield from (f"{called}({', '.join([*bounds[:k], end, *bounds[k + 1 :]])})" for end in ends)


def moved(node: ast.expr, text: str, by: int) -> str:
    """A bound moved by one step: n for n − 1."""
    try:
        value = ast.literal_eval(node)
    except ValueError:
        if isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant) and isinstance(node.right.value, int):
            shift = (node.right.value if isinstance(node.op, ast.Add) else -node.right.value) + by
            left = ast.unparse(node.left)
            return left if not shift else f"{left} {'+' if shift > 0 else '-'} {abs(shift)}"
        return f"{text} {'+' if by > 0 else '-'} 1"
    return str(value + by)


def _targets(function: Written, statement: ast.stmt) -> Iterator[tuple[Places, str]]:
    """What is written to the place of another step, or under another name."""
    if not isinstance(statement, ast.Assign | ast.AugAssign):
        return
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    parts = [part for target in targets for part in (target.elts if isinstance(target, ast.Tuple) else [target])]
    for target in parts:
        if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
            yield from (([(target.slice, key)], "wrong accumulator") for key in _keys(function, target.slice.value))
        elif isinstance(target, ast.Subscript):
            indices = [*target.slice.elts] if isinstance(target.slice, ast.Tuple) else [target.slice]
            indices += [index.slice for index in indices if isinstance(index, ast.Subscript)]
            for index in indices:
                if isinstance(index, ast.Subscript) and isinstance(index.value, ast.Name):
                    others = [arg.arg for arg in function.tree.args.args if arg.arg != index.value.id]
                    yield from (([(index.value, other)], SOFTMAX) for other in others)
                for part in ast.walk(index):
                    if isinstance(part, ast.Name) and part.id in function.counters:
                        others = [name for name in function.counters if name != part.id]
                        yield from (([(part, name)], "written to the place of the wrong step") for name in others)
                for call in (part for part in ast.walk(index) if isinstance(part, ast.Call)):
                    whole = [part for part in call.args if isinstance(part, ast.Name)]  # argmax(targets), of all steps
                    yield from (([(n, f"{n.id}[{c}]")], SOFTMAX) for n in whole for c in function.counters)
                read = [part.slice for part in ast.walk(index) if isinstance(part, ast.Subscript)]  # d[ids[t] == 1]
                counted = [part for each in read for part in (each.elts if isinstance(each, ast.Tuple) else [each])]
                for at in (index, *(part for part in counted if {n.id for n in ast.walk(part) if isinstance(n, ast.Name)})):
                    if isinstance(at, ast.Name):
                        yield from (([(at, f"{at.id} {by} 1")], "a list off by one") for by in ("-", "+"))
                    elif isinstance(at, ast.BinOp):
                        yield [(at, ast.unparse(at.left))], "a list off by one"
    if len(targets) == 1 and isinstance(targets[0], ast.Name) and isinstance(statement, ast.AugAssign):
        name = targets[0].id
        yield from (([(targets[0], f"{name}[{counter}]")], "added to every entry") for counter in function.counters)
    if len(targets) == 1 and isinstance(target := targets[0], ast.Attribute) and names.is_gradient(target.attr):
        owner = function.segment(target.value)
        for name in _stored_beside(function, owner):
            if name != target.attr:
                yield [(statement, function.segment(statement, [(target, f"{owner}.{name}")]))], "wrong accumulator"
    if len(targets) == 1 and isinstance(targets[0], ast.Name):
        for name in sorted(function.stored - {targets[0].id}):
            if names.says_gradient(name) == names.says_gradient(targets[0].id):
                yield [(statement, function.segment(statement, [(targets[0], name)]))], "wrong accumulator"


def _stored_beside(function: Written, owner: str) -> Iterator[str]:
    """The gradients that a function stores in an object; and those of biases beside weights, that it may have forgotten."""
    nodes = [n for n in function.nodes if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)]
    stored = [n.attr for n in nodes if function.segment(n.value) == owner and names.is_gradient(n.attr)]
    beside = [name.replace(old, new) for name in stored for old, new in (("W", "b"), ("w", "b"), ("weight", "bias"))]
    yield from dict.fromkeys([*stored, *(name for name in beside if names.is_parameter(names.stem(name)))])


def _taken_out(function: Written, statement: ast.stmt) -> Iterator[tuple[Places, str]]:
    """What is unpacked or handed on as a whole, ``caches[t - 1]``, taken out at another step."""
    if not isinstance(statement, ast.Assign | ast.AugAssign | ast.Expr):
        return
    calls = [node for node in ast.walk(statement.value) if isinstance(node, ast.Call)]
    wholes = [argument for call in calls for argument in call.args]
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Tuple):
        wholes.append(statement.value)
    for whole in wholes:
        index = whole.slice if isinstance(whole, ast.Subscript) else None
        step = index.left if isinstance(index, ast.BinOp) and isinstance(index.right, ast.Constant) else index
        if index is not None and isinstance(step, ast.Name) and step.id in function.counters:
            others = [step.id, f"{step.id} - 1", f"{step.id} + 1"]
            yield from (([(index, other)], "operand of the wrong step") for other in others if other != ast.unparse(index))


def _keys(function: Written, key: object) -> Iterator[str]:
    """The other keys of the same type that occur in a function."""
    nodes = [node.slice for node in function.nodes if isinstance(node, ast.Subscript)]
    found = {node.value: None for node in nodes if isinstance(node, ast.Constant) and type(node.value) is type(key)}
    yield from (repr(other) for other in found if other != key)


def moved_inside(function: Written, outer: ast.For) -> Iterator[tuple[ast.stmt, ast.stmt, str]]:
    """A line before an inner loop, what of it it belongs behind, and how it is written there: what is set for each step of it.

    ``dx[t] = d @ W.T`` before a loop that goes on from there over k is ``dx[k] += d @ W.T`` in it.
    """
    if not isinstance(outer.target, ast.Name):
        return
    for line in outer.body:
        if not isinstance(line, ast.Assign) or not isinstance(line.targets[0], ast.Subscript):
            continue
        counted = [n for n in ast.walk(line) if isinstance(n, ast.Name) and n.id == outer.target.id]
        for inner in outer.body[outer.body.index(line) + 1 :] if counted else ():
            if isinstance(inner, ast.For) and isinstance(inner.target, ast.Name):
                places = [(node, inner.target.id) for node in counted]
                into, value = (function.segment(part, _those_in(part, places)) for part in (line.targets[0], line.value))
                yield line, inner.body[0], f"{into} += {value}"


def _those_in(node: ast.AST, places: Sequence[tuple[ast.AST, str]]) -> Places:
    return [place for place in places if any(part is place[0] for part in ast.walk(node))]


def carried_on(function: Written, loop: ast.For) -> Iterator[str]:
    """What may be missing at the end of a loop: lines for names that are there before it and not written to in it."""
    here = [node for node in ast.walk(loop) if isinstance(node, ast.Name)]
    read = {node.id for node in here if isinstance(node.ctx, ast.Load)}
    stored = {node.id for node in here if isinstance(node.ctx, ast.Store)}
    outside = [node for node in function.nodes if isinstance(node, ast.Name) and node.lineno < loop.lineno]
    counted = {node.id for node in ast.walk(loop.target) if isinstance(node, ast.Name)}
    bounds = {node.id for node in ast.walk(loop.iter) if isinstance(node, ast.Name)}
    before = {node.id for node in outside if isinstance(node.ctx, ast.Store)} - stored - bounds
    for name in sorted(before):
        for value in sorted(stored - counted):
            yield f"{name} = {value}" if name in read else f"{name} += {value}"


def at_the_last_step(function: Written, loop: ast.For) -> Iterator[Places]:
    """What is the same at every step of a loop, and may belong to the last: ``(dy if t == T - 1 else 0 * dy)`` for ``dy``."""
    last = _last_of(function, loop.iter)
    if last is None or not isinstance(loop.target, ast.Name):
        return
    stored = {n.id for n in ast.walk(loop) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for line in loop.body:
        target = line.targets[0] if isinstance(line, ast.Assign) else None
        if not isinstance(line, ast.Assign) or not isinstance(target, ast.Name) or not names.says_gradient(target.id):
            continue
        for term in _terms(line.value):
            read = {node.id for node in ast.walk(term) if isinstance(node, ast.Name)}
            if read and not read & stored:
                text = function.segment(term)
                inner = text if isinstance(term, ast.Name) else f"({text})"
                found = f"{text} if {loop.target.id} == {last} else 0 * {inner}"
                yield [(term, found if term is line.value else f"({found})")]


def _terms(node: ast.expr) -> Iterator[ast.expr]:
    """The terms of a sum; the whole where the sum is one of what is read alone."""
    yield node
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from (node.left, node.right)


def _last_of(function: Written, node: ast.expr) -> str | None:
    """The largest number that a loop backwards counts from."""
    if isinstance(node, ast.Subscript) and function.segment(node.slice).replace(" ", "") == "::-1":
        node = node.value
    elif isinstance(node, ast.Call) and function.segment(node.func) == "reversed" and len(node.args) == 1:
        node = node.args[0]
    elif not (isinstance(node, ast.Call) and len(node.args) == 3 and function.segment(node.args[2]) == "-1"):
        return None
    if not isinstance(node, ast.Call) or function.segment(node.func) not in ("range", "np.arange", "numpy.arange"):
        return None
    if len(node.args) == 3:
        return function.segment(node.args[0])
    return moved(node.args[-1], function.segment(node.args[-1]), -1) if node.args else None
