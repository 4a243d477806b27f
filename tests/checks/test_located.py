"""The line that is wrong is named, with the line that it should be; where that cannot be proved, nothing is."""

from __future__ import annotations

import linecache
import types
from typing import Any

import numpy as np
import pytest
from derivation_cases import functions
from mistakes import BY_ID, report_of

from minigrad import check_backward
from minigrad.checks import Report
from minigrad.checks.located.statements import carried_on
from minigrad.checks.located.written import Written

CELL, LOOP = "course_columns:rnn_cell_backward", "course_columns:rnn_backward"
NAMED = [
    (CELL, "(1 - a_next**2) * da_next", "da_next", "dtanh = da_next * (1 - a_next**2)"),
    (CELL, "(1 - a_next**2) * da_next", "(1 - a_prev**2) * da_next", "dtanh = (1 - a_next**2) * da_next"),
    (CELL, "np.dot(Waa.T, dtanh)", "np.dot(Waa, dtanh)", "da_prev = np.dot(Waa.T, dtanh)"),
    (CELL, "np.dot(Waa.T, dtanh)", "np.dot(Waa.T, da_next)", "da_prev = np.dot(Waa.T, dtanh)"),
    (CELL, "np.dot(dtanh, a_prev.T)", "np.dot(dtanh, a_next.T)", "dWaa = np.dot(dtanh, a_prev.T)"),
    (CELL, "np.sum(dtanh", "np.mean(dtanh", "dba = np.sum(dtanh, axis=1, keepdims=True)"),
    (LOOP, "dWaa += gradients", "dWaa = gradients", 'dWaa += gradients["dWaa"]'),
    (LOOP, "da0 = da_prevt", "da0 = np.zeros_like(da_prevt)", "da0 = da_prevt"),
    (LOOP, "reversed(range(T_x))", "range(T_x)", "for t in reversed(range(T_x)):"),
    (LOOP, 'da_prevt = gradients["da_prev"]', 'da_prevt += gradients["da_prev"]', 'da_prevt = gradients["da_prev"]'),
    ("rows_stacked:rnn_backward", "prev_h.T.dot(da)", "next_h.T.dot(da)", "dWh = prev_h.T.dot(da)"),
    ("rows_stacked:rnn_backward", "db += db_t", "db = db_t", "db += db_t"),
    ("rows_stacked:lstm_step_backward", "dprev_c = dc * f", "dprev_c = dc * i", "dprev_c = dc * f"),
    ("rows_stacked:lstm_step_backward", "dprev_c = dc * f", "dprev_c = dnext_c * f", "dprev_c = dc * f"),
    ("gru_columns:gru_step_backward", "dr = drh * h_prev", "dr = drh * h_hat", "dr = drh * h_prev"),
    ("gru_columns:gru_step_backward", "drh * r", "drh", "dh_prev = dh_prev + drh * r"),
]


@pytest.mark.parametrize(("case", "old", "new", "right"), NAMED, ids=[f"{n}-{row[0]}" for n, row in enumerate(NAMED)])
def test_the_line_is_named_as_it_should_be(case: str, old: str, new: str, right: str) -> None:
    report = report_of(case, (old, new))
    assert report.named, report
    assert [finding.right for finding in report.findings] == [right]


FORWARD = """
import numpy as np


def step(x, h_prev, W, U, b):
    z = W @ x + U @ h_prev + b
    h = np.tanh(z)
    return h, (x, h_prev, h, W, U, b)
"""


def of(backward: str, unseen: bool = False) -> Report:
    """The report about a backward pass for FORWARD, with a source of its own; that of FORWARD may be ``unseen``."""
    source = FORWARD + backward
    name = f"located_{abs(hash(backward))}"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    module: Any = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
    if unseen:
        exec(FORWARD, module.__dict__)
    example = [np.ones(shape) for shape in ((3, 4), (5, 4), (5, 3), (5, 5), (5, 1))]
    return check_backward(module.step, module.step_backward, example, seconds=30.0, returns=("x", "h_prev", "W", "U", "b"))


HEAD = "\n\ndef step_backward(dh, cache):\n    x, h_prev, h, W, U, b = cache\n"


def test_two_mistakes_are_two_lines() -> None:
    report = of(
        HEAD
        + "    dz = dh * (1 - h**2)\n    dW = dz @ x.T\n    dU = dz @ h.T\n    db = dz.mean(axis=1, keepdims=True)\n"
        + "    return W.T @ dz, U.T @ dz, dW, dU, db\n"
    )
    assert report.named, report
    assert {finding.right for finding in report.findings} == {"dU = dz @ h_prev.T", "db = dz.sum(axis=1, keepdims=True)"}


def test_mistakes_that_hide_each_other_are_found_one_after_the_other() -> None:
    """With one of the two corrected, no gradient that is returned is right."""
    mistakes = ("dhs[t] + dh_next", "dhs[t]"), ("dh_prev = dh * z", "dh_prev = dh * (1 - z)")
    report = report_of("gru_columns:gru_sequence_backward", *mistakes)
    assert report.named, report
    assert {finding.right for finding in report.findings} == {
        "grads = gru_step_backward(dhs[t] + dh_next, caches[t], p)",
        "dh_prev = dh * z",
    }


SEVERAL = [
    (
        "course_columns:lstm_cell_backward",
        [("* it * (1 - it)", "* ft * (1 - ft)"), ("dbo = np.sum(dot", "dbo = np.mean(dot")],
    ),
    (
        "course_columns:rnn_cell_backward",
        [("(1 - a_next**2) * da_next", "da_next"), ("np.dot(dtanh, a_prev.T)", "np.dot(dtanh, a_next.T)")],
    ),
    ("rows_stacked:rnn_backward", [("range(T - 1, -1, -1)", "range(T - 1, 0, -1)"), ("db += db_t", "db = db_t")]),
    ("characters:backward", [("dy[targets[t]] -= 1", "dy[inputs[t]] -= 1"), ("np.dot(Whh.T, dhraw)", "np.dot(Whh, dhraw)")]),
]


@pytest.mark.parametrize(("case", "mistakes"), SEVERAL, ids=["twice in a line", "upstream", "loop", "in place"])
def test_several_mistakes_are_named_line_by_line(case: str, mistakes: list[tuple[str, str]]) -> None:
    report = check_backward(*functions(BY_ID[case], *mistakes), BY_ID[case].arguments(), seconds=30.0, **BY_ID[case].options)
    assert report.named, report
    assert len(report.findings) == 2
    for _, wrong in mistakes:
        assert sum(wrong in finding.where for finding in report.findings) == 1, report


def test_what_is_no_state_is_not_said_to_be_carried() -> None:
    text = "def f(T, x):\n    n = T\n    back = x\n    for t in range(n):\n        dx = x[t] + back\n    return dx\n"
    function = Written(of_nothing, text, 1)
    assert list(carried_on(function, function.tree.body[2])) == ["back = dx"]  # type: ignore[arg-type]


def of_nothing() -> None:
    pass


def test_what_is_not_named_is_narrowed_down_to_the_first_value_that_is_no_gradient() -> None:
    report = of(
        BLIND
        + "    da = W.T @ np.sin(dz)\n    dU = dz @ h_prev.T\n"
        + "    return da, U.T @ dz, np.cos(dz) @ np.sin(dz).T[:, :3], dU, dz.sum(axis=1, keepdims=True)\n",
        unseen=True,
    )
    (finding,) = report.findings
    assert not finding.kind
    assert "da in line 14 is the first value that is no gradient of the derivation" in finding.missing
    assert "those before it are: dz" in finding.missing
    assert finding.where == "line 14, da = W.T @ np.sin(dz)"


BLIND = "\n\ndef step_backward(dh, cache):\n    h_prev, h, W, U = cache[1:5]\n    dz = dh * (1 - h**2)\n"
"""Here x is not at hand, so that dW cannot be written right where nothing can be kept in the forward pass."""


def test_what_no_line_makes_right_is_not_named() -> None:
    report = of(
        BLIND + "    return W.T @ dz, U.T @ dz, dz @ np.sin(dz).T[:, :3], dz @ h_prev.T, dz.sum(axis=1, keepdims=True)\n",
        unseen=True,
    )
    assert not report.passed
    assert not report.named, report


def test_a_line_that_makes_only_some_gradients_right_does_not_name_the_mistake() -> None:
    report = of(
        BLIND + "    return W.T @ dz, U @ dz, dz @ np.sin(dz).T[:, :3], dz @ h_prev.T, dz.sum(axis=1, keepdims=True)\n",
        unseen=True,
    )
    assert not report.named, report


def test_a_right_one_is_left_as_it_is() -> None:
    right = (
        HEAD
        + "    dz = dh - dh * h * h\n    return W.T @ dz, U.T @ dz, dz @ x.T, dz @ h_prev.T, dz.sum(axis=1, keepdims=True)\n"
    )
    report = of(right)
    assert report.passed
    assert not report.findings


def test_the_functions_run_as_before_afterwards() -> None:
    case = BY_ID["course_columns:rnn_cell_backward"]
    forward, backward = functions(case, ("np.dot(Waa.T, dtanh)", "np.dot(Waa, dtanh)"))
    before, names = backward.__code__, set(backward.__globals__)
    check_backward(forward, backward, case.arguments())
    assert backward.__code__ is before
    assert set(backward.__globals__) == names
