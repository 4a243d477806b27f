"""What the user has at hand in one of his functions: the arrays it names, and what is made of such arrays in derivatives."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from minigrad.checks import names
from minigrad.checks.located.written import Written
from minigrad.guard import Array

__all__ = [
    "HOLE", "OWN_SCOPES", "Phrase", "compiled", "evaluated", "expressions", "held", "parsed", "phrases", "tight",
]  # fmt: skip

HOLE = "__hole__"
"""What stands for what is put into an expression."""
FORMS = ("1 - {a}", "1 - {a}**2", "{a} * (1 - {a})", "1 - {np}.tanh({a})**2", "{np}.tanh({a})")
"""What is made of one array, in derivatives of gates."""
KINKED = "{a} > 0"
"""What is made of it where the forward pass has a rectifier."""
BASE = re.compile(r"^\w+\.|\[.*|\.T$")
"""What stands around the name of an array."""
KEYS = 24
"""So many keys are tried at most."""
REMEMBERED = 8192
"""So many texts are parsed once: the same ones come up wherever something could be written otherwise."""
FEW = 8
"""So many entries of what is taken out of a list are tried at most."""
OWN_SCOPES = (
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.FunctionDef,
    ast.ClassDef,
    ast.JoinedStr,
)


class Phrase(NamedTuple):
    """An expression in the user's words.

    Attributes:
        text, code: the expression.
        rank: 0 for what has a name, 1 for what he computes somewhere, 2 for what could be made of it.
        around: of what he computes: what has a name in it, and the expression as a function of that.
        of_one_step: whether it is taken out of what is read step by step, at one step alone: ``hs[T - 1]`` beside ``hs[t]``.
        lost: whether it is of the forward pass, which does not keep it.
    """

    text: str
    code: CodeType
    rank: int
    around: tuple[tuple[str, CodeType], ...] = ()
    of_one_step: bool = False
    lost: bool = False


def expressions(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions in a statement or an expression that are read, but not those with variables of their own."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*OWN_SCOPES, ast.stmt)):
            continue
        if isinstance(child, ast.expr) and isinstance(getattr(child, "ctx", ast.Load()), ast.Load):
            yield child
        yield from expressions(child)


def phrases(function: Written, kinked: bool = False) -> list[Phrase]:
    """All phrases of a function, what is simplest first; ``kinked`` where the forward pass has a rectifier."""
    found: dict[str, int] = {}
    around: dict[str, tuple[tuple[str, CodeType], ...]] = {}
    bases: dict[str, None] = {}
    counted: set[str] = set()
    indices: dict[str, None] = {}
    called = {node.func for node in function.nodes if isinstance(node, ast.Call)}  # what is called is no array
    for statement in function.nodes:
        if not isinstance(statement, ast.stmt) or statement is function.tree:
            continue
        for node in expressions(statement):
            text = function.segment(node)
            if "\n" in text or node in called or isinstance(node, ast.Constant | ast.Slice | ast.Tuple | ast.List | ast.Dict):
                continue
            found.setdefault(text, 0 if isinstance(node, ast.Name | ast.Attribute | ast.Subscript) else 1)
            if found[text] == 1 and text not in around:
                around[text] = tuple(_around(function, node))
            if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Constant):
                bases[function.segment(node.value)] = None
                if any(isinstance(part, ast.Name) and part.id in function.counters for part in ast.walk(node.slice)):
                    counted.add(function.segment(node.value))
                indices |= dict.fromkeys(_near(node.slice, function.segment(node.slice), function.counters))
    found |= {name: 0 for name in _assigned(function.tree) if name not in found}
    found |= {text: 0 for text in _stored_in(function) if text not in found}
    for text in (*_by_other_keys(function), *_not_unpacked(function)):
        found.setdefault(text, 0)
    handed = [arg.arg for arg in function.tree.args.args if names.says_gradient(arg.arg)]
    for base in (*bases, *handed):  # what arrives from outside may not be read at all
        for index in indices:
            found.setdefault(f"{base}[{index}]", 0)
    library = next((name for name, value in function.function.__globals__.items() if _is_numpy(value)), None)
    sigmoid = next((name for name in function.function.__globals__ if name.lower() in ("sigmoid", "sigm", "logistic")), None)
    for text in _of_the_step_before(function, library):
        found.setdefault(text, 1)
    for text in _only_added_to(function):
        found.pop(text, None)
    forms = [*FORMS, *([f"{sigmoid}({{a}})"] if sigmoid else [])] if library else [*FORMS[:3]]
    forms += [KINKED] if kinked else []
    for text in [text for text, rank in found.items() if rank == 0 and not names.is_gradient(BASE.sub("", text))]:
        for form in forms:
            found.setdefault(form.format(a=text, np=library), 2)
    fixed = {text: _is_of_one_step(text, counted, function.counters) for text in found}
    return [
        Phrase(text, code, found[text], around.get(text, ()), fixed[text])
        for text in sorted(found, key=fixed.__getitem__)
        if (code := compiled(text)) is not None
    ]


def _is_of_one_step(text: str, bases: Collection[str], counted: Collection[str]) -> bool:
    """Whether it is taken out of what a loop counts through, by no counter of one."""
    base, opened, index = text.removesuffix("]").partition("[")
    return bool(opened and counted) and base in bases and not {*counted} & {*re.findall(r"[A-Za-z_]\w*", index)}


def held(function: Written, variables: Mapping[str, Any]) -> Iterator[Phrase]:
    """Arrays that an object or a dict of his holds and the function does not mention: self.c_prev, cache["c_prev"].

    And arrays that global names stand for, however they are mentioned; of a list, or a dict by steps, those at the indices
    that the function has for others: self.f_gates[t].
    """
    indices = dict.fromkeys(_steps_in(function))
    for name, value in variables.items():
        if names.is_gradient(name):
            continue
        if name not in function.function.__code__.co_varnames:
            if isinstance(value, np.ndarray) and value.dtype.kind == "f" and (code := compiled(name)) is not None:
                yield Phrase(name, code, 1)
            continue
        inner = {f'{name}["{key}"]': part for key, part in value.items()} if isinstance(value, dict) else {}
        if not isinstance(value, np.ndarray | dict | list | tuple):
            inner = {f"{name}.{key}": part for key, part in getattr(value, "__dict__", {}).items()}
        for text, part in inner.items():
            if text in function.text or (names.is_gradient(BASE.sub("", text)) and not isinstance(part, float)):
                continue
            found = [text] if _is_real(part) or isinstance(part, float) else []  # dt is a number
            if isinstance(part, list | dict) and any(map(_is_real, part.values() if isinstance(part, dict) else part)):
                found = [f"{text}[{index}]" for index in indices]
            for each in found:
                if (code := compiled(each)) is not None:
                    yield Phrase(each, code, 1)


def _is_real(part: Any) -> bool:
    return isinstance(part, np.ndarray) and part.dtype.kind == "f" and part.size > 1


def _steps_in(function: Written) -> Iterator[str]:
    """The names by which the function takes something out of lists, ``t`` of ``hs[t]``."""
    for node in function.nodes:
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name):
            yield node.slice.id


def _around(function: Written, node: ast.expr) -> Iterator[tuple[str, CodeType]]:
    """What has a name in an expression, and the expression as a function of that."""
    parts: dict[str, list[ast.AST]] = {}
    for inner in expressions(node):
        if isinstance(inner, ast.Name | ast.Attribute | ast.Subscript):
            parts.setdefault(function.segment(inner), []).append(inner)
    for part, nodes in parts.items():
        code = compiled(function.segment(node, [(inner, HOLE) for inner in nodes]))
        if code is not None:
            yield part, code


def _is_numpy(value: Any) -> bool:
    return value is np or type(value).__name__ == "_Doubles"


def _near(index: ast.expr, text: str, counted: Sequence[str]) -> Iterator[str]:
    """The index, those of the steps before and after, and those by which other loops count."""
    yield text
    for name in counted:
        used = [node for node in ast.walk(index) if isinstance(node, ast.Name) and node.id in counted]
        if used and all(node.id != name for node in used):
            renamed = copy.deepcopy(index)
            for node in ast.walk(renamed):
                if isinstance(node, ast.Name) and node.id in counted:
                    node.id = name
            yield ast.unparse(renamed)
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    for k, part in enumerate(parts):
        steps: list[str] = []
        if isinstance(part, ast.Name):
            steps = [f"{part.id} - 1", f"{part.id} + 1"]
        elif isinstance(part, ast.BinOp):
            steps = [ast.unparse(part.left)]
            if isinstance(part.left, ast.Name) and isinstance(part.right, ast.Constant) and isinstance(part.right.value, int):
                sign = "+" if isinstance(part.op, ast.Add) else "-"
                steps += [f"{part.left.id} {sign} {by}" for by in (part.right.value - 1, part.right.value + 1) if by > 0]
            if isinstance(part.left, ast.UnaryOp) and isinstance(part.right, ast.Constant) and part.right.value == 1:
                steps.append(ast.unparse(part).removesuffix("1") + "2")  # counted from the end
        if not isinstance(part, ast.Slice) and not any(isinstance(n, ast.Name) and n.id in counted for n in ast.walk(part)):
            steps += counted
        for other in steps:
            yield ", ".join(other if j == k else ast.unparse(inner) for j, inner in enumerate(parts))


def _only_added_to(function: Written) -> Iterator[str]:
    """What gradients are added up in, and no line of the loop reads: at first it is the same as what is added."""
    loops: list[ast.AST] = [node for node in function.nodes if isinstance(node, ast.For | ast.While)]
    loops = [loop for loop in loops if any(isinstance(node, ast.AugAssign) for node in ast.walk(loop))]  # not the clipping
    nodes = [node for tree in loops or [function.tree] for part in tree.body for node in ast.walk(part)]  # type: ignore[attr-defined]
    added = [node.target for node in nodes if isinstance(node, ast.AugAssign)]
    places = [node for node in nodes if isinstance(node, ast.Name | ast.Attribute | ast.Subscript)]
    elsewhere = {function.segment(node) for node in places if not any(node is target for target in added)}
    yield from (text for target in added if (text := function.segment(target)) not in elsewhere)


def _of_the_step_before(function: Written, library: str | None) -> Iterator[str]:
    """What he reads at each step, of the step before: ``c[t - 1] if t > 0 else np.zeros_like(c[t])``."""
    counted = function.counters
    for node in function.nodes:
        value = node.value if isinstance(node, ast.Assign) else None
        inner = next((n for n in ast.walk(value) if _is_of_step(n, counted)), None) if value is not None else None
        if not isinstance(inner, ast.Subscript) or not isinstance(inner.slice, ast.Name):
            continue
        t, base = inner.slice.id, function.segment(inner.value)
        before = function.segment(value, [(inner, f"{base}[{t} - 1]")])  # type: ignore[arg-type]
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        now = {before: function.segment(value)} if not isinstance(target, ast.Tuple) else {}  # type: ignore[arg-type]
        if isinstance(target, ast.Tuple) and value is inner:
            now = {f"{before}[{k}]": name.id for k, name in enumerate(target.elts) if isinstance(name, ast.Name)}
        for earlier, same in now.items():
            yield f"({earlier} if {t} > 0 else {f'{library}.zeros_like({same})' if library else f'0 * {same}'})"


def _is_of_step(node: ast.AST, counted: Sequence[str]) -> bool:
    return isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name) and node.slice.id in counted


def _by_other_keys(function: Written) -> Iterator[str]:
    """What he has under a key or at a constant index, W["f"] or W[0], under the other keys that occur in the function."""
    constants = [
        node
        for node in function.nodes
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int | str)
    ]
    keys: dict[type, dict[str, None]] = {int: {}, str: {}}
    for node in constants:
        assert isinstance(node.slice, ast.Constant)
        keys[type(node.slice.value)][function.segment(node.slice)] = None
        if isinstance(node.value, ast.Subscript) and isinstance(node.slice.value, int):  # data[t][1], beside it data[t][0]
            keys[int] |= dict.fromkeys(map(str, range(min(node.slice.value, FEW))))
    for outer in function.nodes:
        if not isinstance(outer, ast.Subscript) or "\n" in function.segment(outer):
            continue
        for node in constants:
            if not isinstance(getattr(outer, "ctx", None), ast.Load) or not any(inner is node for inner in ast.walk(outer)):
                continue
            assert isinstance(node.slice, ast.Constant)
            for key in list(keys[type(node.slice.value)])[:KEYS]:
                yield function.segment(outer, [(node.slice, key)])


def _not_unpacked(function: Written) -> Iterator[str]:
    """What is in a cache, but has no name of its own where that is unpacked: ``_, h, h = cache`` has cache[0], cache[1]."""
    for node in function.nodes:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if not isinstance(target, ast.Tuple) or isinstance(node.value, ast.Tuple | ast.Call):  # type: ignore[attr-defined]
            continue
        called = [part.id if isinstance(part, ast.Name) else "" for part in target.elts]
        for k, name in enumerate(called):
            if name == "_" or (name and name in called[k + 1 :]):
                yield f"{function.segment(node.value)}[{k}]"  # type: ignore[attr-defined]


def _assigned(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        if isinstance(node, ast.arg):
            yield node.arg


def _stored_in(function: Written) -> Iterator[str]:
    """Parts of arrays that are written to, ``dh_prev[:, i]``; what is kept for the step before, ``grads["dh_next"]``."""
    for node in function.nodes:
        for target in node.targets if isinstance(node, ast.Assign) else ():
            key = target.slice.value if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant) else None
            key = target.attr if isinstance(target, ast.Attribute) else key
            of_state = isinstance(key, str) and names.is_gradient(key) and not names.is_parameter(names.stem(key))
            if of_state or (isinstance(target, ast.Subscript) and not isinstance(target.slice, ast.Constant)):
                yield function.segment(target)


@lru_cache(REMEMBERED)
def compiled(text: str) -> CodeType | None:
    """The code of an expression."""
    try:
        return compile(text.strip(), "<located>", "eval", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None


def evaluated(code: CodeType, space: dict[str, Any], variables: dict[str, Any]) -> Array | None:
    """The array of real numbers that an expression stands for; None if it stands for anything else."""
    try:
        value = eval(code, space, variables)
    except Exception:
        return None
    if isinstance(value, float | np.floating) or (type(value) is int and value == 0):  # dh = 0, before the last step
        value = np.asarray(float(value))
    elif isinstance(value, np.ndarray) and value.dtype.kind == "b":
        value = value.astype(float)  # h > 0, a factor of 0 or 1
    return value if isinstance(value, np.ndarray) and value.dtype.kind == "f" else None


@lru_cache(REMEMBERED)
def parsed(text: str) -> ast.expr:
    """The tree of an expression, to be looked at alone: others get the same one."""
    return ast.parse(text, mode="eval").body


def tight(text: str) -> str:
    """The text, in brackets if it is a sum."""
    node = parsed(text)
    loose = isinstance(node, ast.UnaryOp | ast.IfExp | ast.Compare) or (
        isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)
    )
    return f"({text})" if loose else text
