"""What the backward pass needs of the forward pass and cannot have: values that are kept nowhere, or of the last step alone.

A state that is overwritten, a gate that is a local variable. While the search lasts, the forward pass keeps them in lists
under names of their own; a correction that reads one of these says what has to be kept, and where.
"""

from __future__ import annotations

import ast
import copy
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from minigrad.checks import names
from minigrad.checks.fusing import ACTIVATIONS
from minigrad.checks.located.edit import Edit
from minigrad.checks.located.functions import passing
from minigrad.checks.located.lines import shown
from minigrad.checks.located.phrases import OWN_SCOPES, Phrase, compiled, evaluated, expressions
from minigrad.checks.located.statements import all_statements
from minigrad.checks.located.truths import CLOSE, marks_of
from minigrad.checks.located.watching import HELD, Visit
from minigrad.checks.located.written import Written, placed, running_as
from minigrad.checks.trial import Trial
from minigrad.guard import Array

__all__ = ["NOT_KEPT", "Unkept", "keeping"]

NOT_KEPT = "not kept for the backward pass"
KEEP = "__keep__"
BEFORE, KEPT = "_before", "_kept"
COST = 1.5
"""What it costs to put something that has to be kept first in the place of what a function reads, wherever it does."""
MOST = 12
"""So many values are kept at most."""
READ = re.compile(r"\b([A-Za-z_]\w*(?:_before|_kept))((?:\[[^\[\]]*\])?)")


class Value(NamedTuple):
    """A value of the forward pass: the function, the statement it is kept before or behind, what it is called there."""

    function: Written
    statement: ast.stmt
    text: str
    behind: bool


class Unkept:
    """The values that are kept while the search lasts, by the names of the lists; empty if nothing is missing."""

    def __init__(self, values: Mapping[str, Value] | None = None, by_step: Collection[str] = ()) -> None:
        self.values, self.by_step = dict(values or {}), frozenset(by_step)
        self.needed: Mapping[int, Array] = {}

    def phrases(self, function: Written) -> Iterator[Phrase]:
        """How they are read in a function of the backward pass: of the step that it counts by, or the last."""
        for text in self._texts(function):
            if (code := compiled(text)) is not None:
                yield Phrase(text, code, 0, lost=True)

    def _texts(self, function: Written) -> Iterator[str]:
        nodes = [n for n in function.nodes if isinstance(n, ast.Subscript) and isinstance(n.slice, ast.Name)]
        steps = dict.fromkeys([*function.counters, *(n.slice.id for n in nodes if isinstance(n.slice, ast.Name))])
        for name in self.values:
            yield from (f"{name}[{index}]" for index in (steps if name in self.by_step else ["-1"]))

    def wherever(self, function: Written, seen: Mapping[ast.stmt, Sequence[Visit]]) -> Iterator[Edit]:
        """One of the values in the place of what a function reads more than once, wherever it does: the old h for the new."""
        alike: dict[str, list[tuple[ast.stmt, ast.expr]]] = {}
        for statement, _ in all_statements(function.tree):
            if statement in seen and not hasattr(statement, "body"):
                for node in expressions(statement):
                    if isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Call):
                        alike.setdefault(function.segment(node), []).append((statement, node))
        space, texts = function.function.__globals__, [*self._texts(function)]

        def valued(text: str, visit: Visit) -> Array | None:
            return None if (code := compiled(text)) is None else evaluated(code, space, visit)

        for text, places in alike.items() if texts else ():
            base = re.split(r"[\[.(]", text.removeprefix("self."))[0]
            statement, node = places[0]
            visit = seen[statement][0]
            if len(places) < 2 or names.says_gradient(base) or (now := valued(text, visit)) is None or now.size < 2:
                continue
            found: dict[str, str] = {}
            inner = [n for n in expressions(node) if isinstance(n, ast.Name | ast.Attribute)]
            for other in (*(function.segment(node, [(n, other)]) for n in inner for other in texts), *texts):
                value = valued(other, visit)
                other_one = value is not None and value.shape == now.shape and not np.array_equal(value, now)
                if value is not None and other_one and _among(value, self.needed):
                    found.setdefault(_marks(value)[0], other)
            for other in found.values():
                yield Edit(function, statement, [(node, other) for _, node in places], COST, hit=0.5)

    def read_in(self, text: str) -> list[str]:
        """The names of the values that a text reads."""
        return [name for name in dict.fromkeys(name for name, _ in READ.findall(text)) if name in self.values]

    def stands_for(self, old: str, new: str) -> str:
        """What is said of a line that differs from what it should be in one name alone, for what is not kept; "" of others."""
        read = [found for found in READ.finditer(new) if found[1] in self.values]
        if not read or len({found[0] for found in read}) > 1:
            return ""
        before = new[: read[0].start()]
        name = re.match(r"[\w.]+(?:\[[^\[\]]*\])?", old[len(before) :])
        for text in dict.fromkeys((name[0], name[0].partition("[")[0])) if name and old.startswith(before) else ():
            if text and new.replace(read[0][0], text) == old:
                return f"{text} stands in the place of {read[0][0]}"
        return ""

    def shown(self, text: str) -> str:
        """A text as the user would write it: an attribute of the object that both passes share, if they do."""

        def replaced(found: re.Match[str]) -> str:
            value = self.values.get(found[1])
            if value is None:
                return found[0]
            return f"{self._holder(value)}{found[1]}{'' if found[2] == '[-1]' else found[2]}"

        return READ.sub(replaced, text)

    def line(self, name: str) -> str:
        """The line that keeps a value."""
        text = self.values[name].text
        return f"{name}.append({text}.copy())" if name in self.by_step else f"{name} = {text}.copy()"

    def where(self, name: str) -> str:
        """At which line of the forward pass a value is what is meant."""
        value = self.values[name]
        if not value.behind and value.statement is value.function.tree.body[0]:
            return f"at the beginning of {value.function.tree.name}, line {value.function.first}"
        when, number = "behind" if value.behind else "before", value.function.line(value.statement)
        return f"{when} line {number}, {shown(value.function, value.statement)}"

    @property
    def said(self) -> str:
        """What is said of all of them where nothing is named; "" if there are none."""
        each = [f"{value.text} {self.where(name).partition(', ')[0]}" for name, value in self.values.items()]
        if not each:
            return ""
        verb = "is" if len(each) == 1 else "are"
        return f"{', '.join(each)} of the forward pass {verb} kept nowhere for the backward pass, or not of each step"

    def _holder(self, value: Value) -> str:
        arguments = value.function.tree.args.args
        return "self." if arguments and arguments[0].arg == "self" else ""


@contextmanager
def keeping(
    trial: Trial,
    originals: Sequence[Written],
    run: Callable[[], Any],
    watch: Callable[[], Mapping[ast.stmt, Sequence[Visit]]],
    at_hand: Callable[[Written, Visit], Sequence[Phrase]],
) -> Iterator[Unkept]:
    """While it lasts, the forward pass keeps what the backward pass needs and cannot have.

    Args:
        trial: the longest.
        originals: the functions of the backward pass.
        run, watch: run the backward pass, and give the variables before each statement.
        at_hand: what is at hand in a function.
    """
    functions = [] if trial.adapter.does_both else passing(trial, originals)
    texts = [function.text for function in originals]
    values = {name: value for function in functions for name, value in _values(function)}
    values = {name: value for name, value in values.items() if not any(name in text for text in texts)}
    if not values:
        yield Unkept()
        return
    with _kept(functions, values, originals, trial.adapter.forward) as lists:
        run()
        steps = {1, trial.steps}
        alike = {name for name, found in lists.items() if len(found) in steps and len({value.shape for value in found}) == 1}
        some = {name: list(lists[name]) for name in alike}
        wanted = _needed(trial)
        some = {name: found for name, found in some.items() if _among(found[-1], wanted)}
        some = _at_hand_taken_out(some, originals, watch(), at_hand) if some else {}
    chosen = {name: values[name] for name in [*some][:MOST]}
    if not chosen:
        yield Unkept()
        return
    with _kept(functions, chosen, originals, trial.adapter.forward) as lists:
        run()
        unkept = Unkept(chosen, [name for name, found in lists.items() if len(found) > 1])
        unkept.needed = wanted
        yield unkept


def _values(function: Written) -> Iterator[tuple[str, Value]]:
    """What a function of the forward pass gives names to, is given, or overwrites: the last value of each, and that before."""
    last: dict[str, Value] = {}
    first: dict[str, Value] = {}
    read: set[str] = {arg.arg for arg in function.tree.args.args}
    for statement, _ in all_statements(function.tree):
        loaded = {function.segment(n) for n in expressions(statement) if isinstance(n, ast.Name | ast.Attribute)}
        read |= loaded if not hasattr(statement, "body") else set()
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        targets = [statement.target] if isinstance(statement, ast.AugAssign) else targets
        for target in (part for t in targets for part in (t.elts if isinstance(t, ast.Tuple) else [t])):
            if isinstance(target, ast.Name | ast.Attribute) and function.segment(target).replace(".", "").isidentifier():
                text = function.segment(target)
                last[text] = Value(function, statement, text, True)
                if text in read:
                    first.setdefault(text, Value(function, statement, text, False))
    begin = function.tree.body[0]
    for argument in function.tree.args.args:
        first.setdefault(argument.arg, Value(function, begin, argument.arg, False))
    for text, value in first.items():
        name = text.rpartition(".")[2]
        yield f"{name}{BEFORE if text in last else KEPT}", value
    for text, value in last.items():
        yield f"{text.rpartition('.')[2]}{KEPT}", value


@contextmanager
def _kept(
    functions: Sequence[Written], values: Mapping[str, Value], originals: Sequence[Written], first: Any
) -> Iterator[dict[str, list[Array]]]:
    """While it lasts, the forward pass puts these values into lists, which begin anew where it does."""
    lists: dict[str, list[Array]] = {name: [] for name in values}

    texts = {name: compiled(value.text) for name, value in values.items()}

    def keep(name: str) -> None:
        if not name:
            for found in lists.values():
                found.clear()
        elif (text := texts[name]) is not None:  # it may have no value yet: that is no error of the user's
            frame = sys._getframe(1)
            value = evaluated(text, frame.f_globals, frame.f_locals)
            if value is not None and value.size > 1:
                lists[name].append(np.array(value))

    called = {value.function.tree.name for value in values.values()}
    by_function: dict[Written, dict[ast.stmt, list[tuple[str, Value]]]] = {function: {} for function in functions}
    for name, value in values.items():
        by_function[value.function].setdefault(value.statement, []).append((name, value))
    codes: dict[Any, CodeType] = {}
    for function, at in by_function.items():
        begins = function.function is first or any(_repeats(loop, called) for loop in function.nodes)
        if begins or at:
            codes[function.function] = function.compiled(_keeping(function.tree, at, begins))
    spaces = [function.function.__globals__ for function in (*functions, *originals)]
    before = [{name: space[name] for name in lists if name in space} for space in spaces]
    try:
        for space in spaces:
            space.update(lists)
            space[KEEP] = keep
        HELD.update(lists)
        with running_as(codes):
            yield lists
    finally:
        HELD.clear()
        for space, old in zip(spaces, before, strict=True):
            for name in (*lists, KEEP):
                space.pop(name, None)
            space.update(old)


def _repeats(loop: ast.AST, called: Collection[str]) -> bool:
    """Whether a loop, over the steps it may be, calls one of the functions."""
    calls = [n.func for n in ast.walk(loop) if isinstance(n, ast.Call)] if isinstance(loop, ast.For | ast.ListComp) else []
    return any((f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "")) in called for f in calls)


def _keeping(tree: Any, at: Mapping[ast.stmt, Sequence[tuple[str, Value]]], begins: bool = False) -> Any:
    """The tree with calls that keep values before and behind statements; and one that begins anew, at first."""
    other = copy.copy(tree)
    for field in ("body", "orelse", "finalbody"):
        block = getattr(tree, field, None)
        if isinstance(block, list) and not isinstance(tree, ast.Lambda):
            lines: list[ast.stmt] = []
            for statement in block:
                inner: Any = statement if isinstance(statement, OWN_SCOPES) else _keeping(statement, at)
                before, behind = (
                    [_call(name, statement) for name, value in at.get(statement, ()) if value.behind == when]
                    for when in (False, True)
                )
                lines += [*before, inner, *behind]
            setattr(other, field, lines)
    if begins:
        other.body = [_call("", tree.body[0]), *other.body]
    return other


def _call(name: str, statement: ast.stmt) -> ast.stmt:
    return placed(ast.Expr(ast.Call(ast.Name(KEEP, ast.Load()), [ast.Constant(name)], [])), statement)


def _needed(trial: Trial) -> dict[int, Array]:
    """The marks of what the derivation computes with, by the number of entries."""
    found: dict[int, list[float]] = {}
    for line in trial.chain.lines:
        if trial.chain.live[line.number]:
            operands = [] if line.op in ("add", "sub", "neg") else [operand.value for operand in line.operands]
            for value in (*operands, *([line.value] if line.op in ACTIVATIONS else [])):
                for array in (value, value.T) if value.ndim == 2 else (value,):
                    found.setdefault(value.size, []).append(float(marks_of(np.asarray(array), value.ndim)))
    return {size: np.array(sorted(marks)) for size, marks in found.items()}


def _among(value: Array, known: Mapping[int, Array]) -> bool:
    marks = known.get(value.size)
    mark = float(marks_of(value, value.ndim))
    return marks is not None and bool((np.abs(marks - mark) <= CLOSE * max(abs(mark), 1e-3)).any())


def _at_hand_taken_out(
    lists: Mapping[str, list[Array]],
    originals: Sequence[Written],
    seen: Mapping[ast.stmt, Sequence[Visit]],
    at_hand: Callable[[Written, Visit], Sequence[Phrase]],
) -> dict[str, list[Array]]:
    """The lists of what no expression in the backward pass stands for, at the last step and at the one before; one of each."""
    marks: tuple[set[str], set[str]] = (set(), set())
    for function in originals:
        ran = [statement for statement, _ in all_statements(function.tree) if statement in seen]
        known = at_hand(function, seen[ran[-1]][0]) if ran else ()
        for statement in ran:
            for k, visit in enumerate(seen.get(statement, ())[:2]):
                for phrase in known:
                    value = evaluated(phrase.code, function.function.__globals__, visit)
                    if value is not None and value.size > 1:
                        marks[k].update(_marks(value))
    found: dict[tuple[str, ...], str] = {}
    for name, values in lists.items():
        last = [_marks(value)[0] for value in (values[-1:] if len(values) == 1 else values[:-3:-1])]
        here = [mark in marks[k] or (len(values) == 1 and mark in marks[1]) for k, mark in enumerate(last)]
        if all(here) and (len(here) == 1 or marks[1]):
            continue
        if len(here) > 1 and not marks[1] and here[0]:
            continue
        key = tuple(_marks(value)[0] for value in values)
        if key not in found or len(name) < len(found[key]):
            found[key] = name
    return {name: lists[name] for name in found.values()}


def _marks(value: Array) -> list[str]:
    """The marks of an array and of what it is turned, as texts."""
    return [f"{float(marks_of(array, array.ndim)):.8e}" for array in ((value, value.T) if value.ndim == 2 else (value,))]
