"""An L2 penalty that the backward pass adds to gradients, and the forward pass does not have: no mistake beside another."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

import numpy as np

from minigrad.checks import names
from minigrad.checks.chain import Chain
from minigrad.checks.located.frontier import target_of
from minigrad.checks.located.functions import editable
from minigrad.checks.located.running import FAILURES, gradients_of, quietly
from minigrad.checks.located.watching import Visit, watched
from minigrad.checks.located.written import Written
from minigrad.checks.trial import Trial
from minigrad.checks.words import Words

__all__ = ["penalised", "penalties"]

LARGEST = 1.0
"""No penalty counts more than the loss."""


def penalties(trial: Trial) -> dict[str, tuple[float, str]]:
    """For each weight whose gradient has a penalty in a line of its own: its strength, and what is said of it."""
    found: dict[str, tuple[float, str]] = {}
    try:
        with quietly(trial):
            functions = editable(trial)
            if not any(_terms(function) for function in functions):
                return {}
            moving = bool(trial.answer.moved)
            seen = watched(functions, lambda: gradients_of(trial), moving, last=False, globals_read=trial.adapter.globals)
            for function in functions:
                for statement, number, weight in _terms(function):
                    for visit in seen.get(statement, ())[:1]:
                        name = _name_of(weight, function, visit, trial)
                        strength = _number(number, function, visit)
                        if name is not None and name in trial.given and 0 < strength < LARGEST:
                            text = f"{function.segment(number)} * {function.segment(weight)}"
                            target = target_of(function, statement)
                            said = f"{text} is added to {target}: an L2 penalty that the forward pass does not have"
                            found[name] = strength, said
    except FAILURES:
        return {}
    return found


def penalised(trial: Trial, found: Mapping[str, tuple[float, str]]) -> Trial:
    """The same problem with these penalties in the loss."""
    seeds = {number: list(pairs) for number, pairs in trial.chain.seeds.items()}
    for name, (strength, _) in found.items():
        if name in trial.chain.wanted:
            value = np.asarray(trial.problem.values[name]) * strength
            seeds.setdefault(trial.chain.wanted[name].number, []).append(("penalty", value))
    chain = Chain(trial.chain.lines, seeds, trial.chain.wanted, trial.adapter.states)
    upstream = {what: name for name, (kind, what) in trial.plan.items() if kind == "upstream"}
    return trial._replace(chain=chain, words=Words(chain, trial.answer.called, upstream))


def _terms(function: Written) -> list[tuple[ast.stmt, ast.expr, ast.expr]]:
    """The lines that give a gradient, and have a term that is a number times a name: with these two."""
    return [
        (statement, number, weight)
        for statement in function.statements
        if isinstance(statement, ast.Assign | ast.AugAssign) and names.says_gradient(_called(function, statement))
        for term in _added(statement)
        if isinstance(term, ast.BinOp) and isinstance(term.op, ast.Mult)
        for number, weight in ((term.left, term.right), (term.right, term.left))
        if isinstance(number, ast.Name | ast.Attribute | ast.Constant | ast.BinOp)
        and isinstance(weight, ast.Name | ast.Attribute | ast.Subscript)
        and names.is_parameter(_last(function.segment(weight)))
    ]


def _called(function: Written, statement: ast.stmt) -> str:
    return _last(target_of(function, statement))


def _last(text: str) -> str:
    """The last name in a chain of attributes and keys: Wf of ``self.params["Wf"]``."""
    return text.rpartition(".")[2].removesuffix("]").rpartition("[")[2].strip("\"'") or text


def _added(statement: ast.Assign | ast.AugAssign) -> Iterator[ast.expr]:
    """The terms of the sum that a line sets or adds."""
    waiting = [statement.value]
    alone = isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            waiting += [node.left, node.right]
        elif node is not statement.value or alone:
            yield node


def _name_of(weight: ast.expr, function: Written, visit: Visit, trial: Trial) -> str | None:
    """The argument that has the value of an expression, and its name."""
    try:
        value = np.asarray(eval(function.segment(weight), function.function.__globals__, dict(visit)))
    except Exception:
        return None
    called = _last(function.segment(weight))
    same = [
        name
        for name, array in trial.problem.values.items()
        if name in trial.chain.wanted and array.shape == value.shape and value.size > 1 and np.array_equal(array, value)
    ]
    return next((name for name in same if _last(name) == called), same[0] if len(same) == 1 else None)


def _number(node: ast.expr, function: Written, visit: Visit) -> float:
    try:
        value = eval(function.segment(node), function.function.__globals__, dict(visit))
    except Exception:
        return 0.0
    return float(value) if isinstance(value, int | float | np.floating) and not isinstance(value, bool) else 0.0
