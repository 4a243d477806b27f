"""How far a backward pass is right: which of its lines give a gradient, and which is the first that gives none.

A line is looked at where it runs first, before what is wrong can come back to it from an earlier step.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad.checks import names
from minigrad.checks.located.phrases import OWN_SCOPES, compiled, evaluated
from minigrad.checks.located.statements import all_statements, back_from_each_step
from minigrad.checks.located.truths import Truths, marks_of
from minigrad.checks.located.watching import EARLY, LONG, Visit
from minigrad.checks.located.written import Written
from minigrad.guard import Array

GRADIENTS = re.compile(r"^(?:d|dp|gradients?|grads?)$")
"""What a collection of gradients is called."""

__all__ = ["PART", "UNKNOWN", "WHOLE", "Seen", "looked_at", "target_of", "written_to"]

UNKNOWN, PART, WHOLE = 0, 1, 2
HANDED_ON = (ast.Name, ast.Attribute, ast.Subscript, ast.Call)
"""What computes nothing by itself, or may not."""


class Seen(NamedTuple):
    """A line that computes a gradient.

    Attributes:
        function, statement: which line.
        known: whether its value is the gradient of something (2), a part of one (1), or neither (0).
        clean: at how many of its first visits all gradients that it is computed from are known.
        reads: the gradients that it is computed from.
        mark: that of its value, where it computes something and hands nothing on; else 0.
        misnamed: whether its value is a gradient, but not that which its name says.
        made: the mark of its value at its first visit, whatever it does.
        given: the marks of what it is computed from at its second.
        odd: whether it is called as the gradient of something in the forward pass, and is the gradient of something else.
    """

    function: Written
    statement: ast.stmt
    known: int
    clean: int
    reads: tuple[str, ...]
    mark: float = 0.0
    misnamed: bool = False
    made: float = 0.0
    given: tuple[float, ...] = ()
    odd: bool = False


def looked_at(functions: Sequence[Written], seen: Mapping[ast.stmt, Sequence[Visit]], truths: Truths) -> list[Seen]:
    """The lines that compute gradients, in the order in which they run."""
    owner = {statement: f for f in functions for statement in f.statements}
    made = {function: _made_of_gradients(function, _gradients_in(function, seen, truths)) for function in functions}
    within = {statement for function in functions for statement in back_from_each_step(function)}
    slopes = {function: _slopes(function) for function in functions}
    unfinished = _unfinished(functions)
    found = []
    for statement, visits in seen.items():
        if statement in unfinished:
            line = _in_place(owner[statement], statement, visits[:EARLY], truths, unfinished[statement])
            found += [line] if line is not None else []
            continue
        value = statement.value if isinstance(statement, ast.Assign | ast.AugAssign | ast.Return) else None
        if value is not None and statement in owner and not _is_update(statement):
            function = owner[statement]
            inner, names_in = statement in within, (made[function], slopes[function])
            line = _looked_at(function, statement, value, visits[: LONG if inner else EARLY], truths, *names_in, inner)
            found += [line] if line is not None else []
    return found


def _is_update(statement: ast.stmt) -> bool:
    """Whether weights are moved."""
    down = isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Sub)
    return down and not _is_gradient(_target(statement))


def _gradients_in(function: Written, seen: Mapping[ast.stmt, Sequence[Visit]], truths: Truths) -> Iterator[str]:
    """The names, whatever they are, under which a function is given or keeps what is a whole gradient."""
    visits = seen.get(function.tree.body[0]) or [{}]
    for argument in function.tree.args.args:
        given: Any = visits[0].get(argument.arg)
        is_real = isinstance(given, np.ndarray) and given.dtype.kind == "f" and given.size > 1 and given.any()
        if is_real and _known(given, 0.0, truths) == WHOLE and not truths.is_of_forward(given):
            yield argument.arg
    for statement, _ in all_statements(function.tree):
        target = _target(statement) if isinstance(statement, ast.Assign) else None
        if not isinstance(target, ast.Name) or not isinstance(statement, ast.Assign) or not seen.get(statement):
            continue
        value = _value(function, statement.value, seen[statement][0])
        computed = isinstance(statement.value, ast.BinOp)  # y - wanted, which the loss squares, is its gradient too
        if value is None or value.size < 2 or not value.any() or (truths.is_of_forward(value) and not computed):
            continue
        if _known(value, 0.0, truths) == WHOLE:
            yield target.id


def _made_of_gradients(function: Written, known: Iterator[str]) -> frozenset[str]:
    """The names, whatever they are, under which a function keeps gradients, or what it computes from them."""
    lines = [(n.targets[0], list(_parts(n.value))) for n in function.statements if isinstance(n, ast.Assign)]
    found = set(known)
    for target, parts in lines * 2:
        if isinstance(target, ast.Name) and any(_is_gradient(part) or _name(part) in found for part in parts):
            found.add(target.id)
    return frozenset(found)


def _slopes(function: Written) -> frozenset[str]:
    """The names of derivatives of one step, ``dh_dc = o * (1 - np.tanh(c)**2)``: a gradient is multiplied by them."""
    nodes = function.nodes
    lines = [n for n in nodes if isinstance(n, ast.Assign) and len(n.targets) == 1 and _is_gradient(n.targets[0])]
    local = {_name(n.targets[0]) for n in lines if not any(map(_is_gradient, _parts(n.value)))}
    local -= {_name(n.targets[0]) for n in lines if any(map(_is_gradient, _parts(n.value)))}
    found: set[str] = set()
    for product in (n for n in nodes if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Mult)):
        sides = [list(_parts(side)) for side in (product.left, product.right)]
        for one, other in (sides, sides[::-1]):
            if any(_is_gradient(part) and _name(part) not in local for part in other):
                found |= {_name(part) for part in one} & local
    return frozenset(found - {""})


def _unfinished(functions: Sequence[Written]) -> dict[ast.stmt, bool]:
    """The lines by which a gradient is made that is changed in place, ``dy = p; dy[k] -= 1``; True for the last of each."""
    found: dict[ast.stmt, bool] = {}
    for function in functions:
        last: dict[tuple[int, str], ast.stmt] = {}
        for statement, block in all_statements(function.tree):
            name = _base(_target(statement)) if isinstance(statement, ast.Assign | ast.AugAssign) else ""
            before = last.get((id(block), name))
            if name and before is not None and _changes(statement):
                found |= {before: False, statement: True}
            if name and _is_gradient(_target(statement)):
                last[id(block), name] = statement
    return found


def _changes(statement: ast.stmt) -> bool:
    """Whether a line changes what is there by what is no gradient."""
    return isinstance(statement, ast.AugAssign) and not any(map(_is_gradient, _parts(statement.value)))


def _base(node: ast.AST | None) -> str:
    node = node.value if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Constant) else node
    return node.id if isinstance(node, ast.Name) else ""


def _in_place(
    function: Written, statement: ast.stmt, visits: Sequence[Visit], truths: Truths, last: bool
) -> Seen | None:
    """A line that is one of several by which a gradient is made: it is known by what the last of them leaves.

    The others may leave anything, and are looked at with the last.
    """
    how, name = [], _base(_target(statement))
    for visit in visits if last else ():
        after = {**visit, name: np.array(visit.get(name))}
        try:
            exec(function.segment(statement), function.function.__globals__, after)
        except Exception:
            return None
        value = np.asarray(after[name])
        if value.dtype.kind != "f" or value.size < 2:
            return None
        how.append(_known(value, 0.0, truths))
    known = how[0] if how else WHOLE
    clean = max(next((k for k, now in enumerate(how) if not now), len(how)), 1)  # wrong later on: it has come back to it
    return Seen(function, statement, known, clean, ())


def _looked_at(
    function: Written,
    statement: ast.stmt,
    value: ast.expr,
    visits: Sequence[Visit],
    truths: Truths,
    made: frozenset[str],
    slopes: frozenset[str],
    in_parts: bool = False,
) -> Seen | None:
    if _name(_target(statement) or ast.Pass()) in slopes:
        return None
    known, clean, gradient = WHOLE, 0, _is_gradient(_target(statement))
    least: list[int] = []
    parts = [part for part in _parts(value) if _name(part) not in slopes and (_is_gradient(part) or _name(part) in made)]
    nothing = 0
    for number, visit in enumerate(visits):
        result = _spread(function, statement, _value(function, value, visit), visit)
        if isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Mult):
            product = ast.BinOp(statement.target, ast.Mult(), statement.value)
            code = compiled(ast.unparse(product))
            result = None if code is None else evaluated(code, function.function.__globals__, visit)
        if result is None or result.size < 2:
            return None
        arrays = [_value(function, part, visit) for part in parts]
        given = [array for array in arrays if array is not None and array.size > 1 and array.any()]
        if not given and not result.any():
            nothing += 1
            clean += clean == number
            continue
        of_forward = truths.is_of_forward(result) and all(truths.is_of_forward(array) for array in given)
        if of_forward and not _computes_a_gradient(statement):
            return None  # g = cache["g"], a gate; or a line of the forward pass: loss += diff * diff
        gradient = gradient or bool(given)
        how = [_how_read(array, truths) for array in [*arrays, *_added_to(function, statement, visit)]]
        least = least or how
        now = _known(result, _before(function, statement, visit, result), truths)
        hidden = not now and any(array is None for array in arrays)  # np.stack(dxs) is as wrong as what was put into dxs
        if not hidden and UNKNOWN not in how and all(
            x >= y or in_parts or isinstance(part, ast.Subscript) for part, x, y in zip(parts, how, least, strict=False)
        ):
            clean += clean == number
        if not number or clean > number:
            known = min(known, now)
    misnamed = known > UNKNOWN and not _is_named_so(function, statement, visits, truths)
    known = UNKNOWN if misnamed else WHOLE if in_parts and known else known
    reads = tuple(function.segment(part) for part in parts)
    if nothing == len(visits):  # where all that arrives is 0, something is missing
        return Seen(function, statement, UNKNOWN, 1, reads) if gradient and reads and nothing > 1 else None
    first = _mark(_value(function, value, visits[0])) if visits else 0.0
    if not first and _should_be_there(function, statement, truths):
        return Seen(function, statement, UNKNOWN, 1, reads)
    mark = 0.0 if isinstance(value, HANDED_ON) else first
    later: list[float] = []
    for visit in visits[1:EARLY]:
        read = [*(_value(function, part, visit) for part in parts), *_added_to(function, statement, visit)]
        later = [_mark(array) for array in read]
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    odd = known == WHOLE and isinstance(target, ast.Name) and truths.is_odd(target.id, first)
    return Seen(function, statement, known, clean, reads, mark, misnamed, first, tuple(later), odd) if gradient else None


def _should_be_there(function: Written, statement: ast.stmt, truths: Truths) -> bool:
    """Whether a line alone makes what is called as a gradient that is not 0: ``dh = dh_next`` where the output is left out."""
    target = _target(statement) if isinstance(statement, ast.Assign) else None
    if not isinstance(target, ast.Name) or not truths.is_named(target.id):
        return False
    writing = [other for other, _ in all_statements(function.tree) if isinstance(other, ast.Assign | ast.AugAssign)]
    return [written_to(function, other) for other in writing].count(target.id) == 1


def _computes_a_gradient(statement: ast.stmt) -> bool:
    """Whether a line gives a name a value that says that it is the gradient of something: ``da = 1 - h**2``."""
    target, value = _target(statement), getattr(statement, "value", None)
    return isinstance(target, ast.Name) and names.is_gradient(target.id) and isinstance(value, ast.BinOp | ast.Name)


def _is_named_so(function: Written, statement: ast.stmt, visits: Sequence[Visit], truths: Truths) -> bool:
    """Whether what a line computes is the gradient that its name says, ``dbi``, as far as it says one, and not another."""
    target, value = _target(statement), getattr(statement, "value", None)
    key = target.slice.value if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant) else None
    called = key if isinstance(key, str) else target.attr if isinstance(target, ast.Attribute) else _name(target)  # type: ignore[arg-type]
    if not called or not isinstance(value, ast.expr):
        return True
    for visit in visits[:1]:
        result = _spread(function, statement, _value(function, value, visit), visit)
        if result is not None and result.any():
            mark, before = float(marks_of(result, result.ndim)), _before(function, statement, visit, result)
            return any(truths.is_of(called, each, result.size) for each in ((mark, mark + before) if before else (mark,)))
    return True


def target_of(function: Written, statement: ast.stmt) -> str:
    """What a line writes to."""
    target = _target(statement)
    return "" if target is None else function.segment(target)


def written_to(function: Written, statement: ast.stmt) -> str:
    """What that is called, whatever holds it and whichever entry it is: dW of ``self.dW``, dx of ``dx[t]``."""
    target = _target(statement)
    while isinstance(target, ast.Subscript) and not isinstance(target.slice, ast.Constant):
        target = target.value
    return "" if target is None else function.segment(target).rpartition(".")[2]


def _target(statement: ast.stmt) -> ast.expr | None:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return targets[0]


def _parts(value: ast.AST) -> Iterator[ast.expr]:
    """What has a name in an expression: the longest such parts."""
    owner = value
    while isinstance(owner, ast.Attribute | ast.Subscript):
        owner = owner.value  # np.sum(d).T has no name, and d has
    if isinstance(value, ast.expr) and (isinstance(owner, ast.Name) or _taken_out(owner)):
        yield value
        return
    for child in ast.iter_child_nodes(value):
        if isinstance(value, ast.Call) and child is value.func:
            child = child.value if isinstance(child, ast.Attribute) else ast.Pass()
        if not isinstance(child, OWN_SCOPES):
            yield from _parts(child)


def _taken_out(node: ast.AST) -> tuple[ast.expr, ast.Constant] | None:
    """A collection and a key, where one is taken out of it: ``grads.pop("dh")``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "pop") and node.args:
        key = node.args[0]
        return (node.func.value, key) if isinstance(key, ast.Constant) and isinstance(key.value, str) else None
    return None


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _is_gradient(node: ast.AST | None) -> bool:
    """Whether the name, or the key under which it is kept, says that it is a gradient."""
    taken_out = None if node is None else _taken_out(node)
    if taken_out is not None:
        return names.is_gradient(str(taken_out[1].value)) or _is_gradient(taken_out[0])
    while isinstance(node, ast.Subscript) or (isinstance(node, ast.Attribute) and node.attr == "T"):
        key = node.slice.value if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) else None
        if isinstance(key, str) and names.is_gradient(key):
            return True
        node = node.value
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return bool(name) and (names.is_gradient(name) or names.is_upstream(name) or bool(GRADIENTS.match(name)))


def _value(function: Written, node: ast.expr, visit: Visit) -> Array | None:
    text, taken_out = function.segment(node), _taken_out(node)
    if taken_out is not None:  # it stays there, for another look
        text = f"{function.segment(taken_out[0])}.get({function.segment(taken_out[1])})"
    code = compiled(text)
    return None if code is None else evaluated(code, function.function.__globals__, visit)


def _spread(function: Written, statement: ast.stmt, result: Array | None, visit: Visit) -> Array | None:
    """What is added to every entry, or every column, of a larger array, as that array."""
    value = _value(function, statement.target, visit) if result is not None and isinstance(statement, ast.AugAssign) else None
    if result is None or value is None or value.size <= result.size:
        return result
    try:
        return np.broadcast_to(result, value.shape)
    except ValueError:
        return result


def _added_to(function: Written, statement: ast.stmt, visit: Visit) -> list[Array | None]:
    """What a line adds to, where that has come from elsewhere: a parameter, ``dc += dh * o``."""
    target = statement.target if isinstance(statement, ast.AugAssign) else None
    if not isinstance(target, ast.Name) or target.id not in {arg.arg for arg in function.tree.args.args}:
        return []
    return [_value(function, target, visit)]


def _before(function: Written, statement: ast.stmt, visit: Visit, result: Array) -> float:
    """The mark of what a line adds to."""
    if not isinstance(statement, ast.AugAssign) or not isinstance(statement.op, ast.Add):
        return 0.0
    value = _value(function, statement.target, visit)
    return float(marks_of(value, value.ndim)) if value is not None and value.shape == result.shape else 0.0


def _how_read(value: Array | None, truths: Truths) -> int:
    """How known an operand is; a value of the forward pass, g for a gate, is no gradient, whatever it is called."""
    if value is None or value.size < 2 or not value.any():
        return PART
    return _known(value, 0.0, truths) or (PART if truths.is_of_forward(value) else UNKNOWN)


def _mark(value: Array | None) -> float:
    return 0.0 if value is None else float(marks_of(value, value.ndim))


def _known(value: Array, before: float, truths: Truths) -> int:
    mark = float(marks_of(value, value.ndim))
    among = [mark, mark + before] if before else [mark]
    return max(truths.how_known(each, value.size) for each in among) if value.any() else WHOLE
