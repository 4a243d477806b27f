"""Two mistakes in a pass that was written by hand, in cells and in loops over them: both lines are named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from derivation_cases import CASES, functions

from minigrad import check_backward

BY_NAME = {case.id: case for case in CASES}


@pytest.mark.parametrize(
    ("case", "mistakes", "right"),
    [
        (  # a slope that nothing is multiplied by
            "other_manners:last_output_backward",
            [("ds * (1 - states[t] ** 2)", "1 - states[t] ** 2"), ("dW += da @", "dW = da @")],
            ["da = (1 - states[t] ** 2) * ds", "dW += da @ states[t - 1].T"],
        ),
        (
            "rows_stacked:lstm_backward",
            [("di = dc * g", "di = g"), ("dprev_c = dc * f", "dprev_c = dc * 2 * f")],
            ["di = g * dc", "dprev_c = dc * f"],
        ),
        (  # of what gives a gradient, the one that the line is called
            "rows_stacked:lstm_backward",
            [("dnext_h * o * (1 - tanh_c**2)", "dnext_h * o"), ("df = dc * prev_c", "df = dc + prev_c")],
            ["dc = dnext_c + dnext_h * o * (1 - tanh_c**2)", "df = dc * prev_c"],
        ),
        (  # the cache, which is no array, of another step
            "rows_stacked:rnn_backward",
            [("1 - next_h * next_h", "1 - next_h"), ("dprev_h, cache[t]", "dprev_h, cache[t - 1]")],
            [
                "dx_t, dprev_h, dWx_t, dWh_t, db_t = rnn_step_backward(dh[:, t, :] + dprev_h, cache[t])",
                "da = dnext_h * (1 - next_h**2)",
            ],
        ),
    ],
)
def test_two_mistakes_in_a_pass_are_named_line_by_line(case: str, mistakes: list[tuple[str, str]], right: list[str]) -> None:
    known = BY_NAME[case]
    report = check_backward(*functions(known, *mistakes), known.arguments(), **known.options)
    assert [finding.right for finding in report.findings] == right, report


def test_a_slope_alone_lacks_the_gradient_that_it_is_multiplied_by() -> None:
    known = BY_NAME["other_manners:last_output_backward"]
    report = check_backward(*functions(known, ("ds * (1 - states[t] ** 2)", "1 - states[t] ** 2")), known.arguments())
    assert [(finding.kind, finding.missing) for finding in report.findings] == [
        ("factor missing", "the factor ds is missing in da")
    ], report


@pytest.mark.parametrize(
    ("case", "mistakes", "right"),
    [
        (
            "course_columns:rnn_cell_backward",
            [("(1 - a_next**2) * da_next", "(1 - a_next) * da_next"), ("np.sum(dtanh, axis=1", "np.sum(dtanh, axis=0")],
            ["dtanh = (1 - a_next**2) * da_next", "dba = np.sum(dtanh, axis=1, keepdims=True)"],
        ),
        (
            "rows_stacked:rnn_step_backward",
            [("da = dnext_h * (1", "da = 2 * dnext_h * (1"), ("da.sum(axis=0)", "da.sum(axis=1)")],
            ["da = dnext_h * (1 - next_h * next_h)", "db = da.sum(axis=0)"],
        ),
    ],
)
def test_a_gradient_of_another_shape_hides_no_other_mistake(
    case: str, mistakes: list[tuple[str, str]], right: list[str]
) -> None:
    known = BY_NAME[case]
    report = check_backward(*functions(known, *mistakes), known.arguments())
    assert not report.stages[0].passed
    assert [finding.right for finding in report.findings] == right, report


def test_a_product_that_should_be_a_sum_is_named() -> None:
    known = BY_NAME["course_columns:lstm_backward"]
    mistake = ("np.dot(Wf[:, :n_a].T, dft) + np", "np.dot(Wf[:, :n_a].T, dft) * np")
    report = check_backward(*functions(known, mistake), known.arguments())
    assert [finding.kind for finding in report.findings] == ["a product for a sum"], report
    assert report.findings[0].effect


def test_biases_that_are_averaged_say_nothing_of_weights_that_are_wrong_otherwise() -> None:
    known = BY_NAME["course_columns:lstm_cell_backward"]
    means = [(f"np.sum({name}, axis=1", f"np.mean({name}, axis=1") for name in ("dft", "dit", "dcct", "dot")]
    report = check_backward(*functions(known, ("((a_prev, xt), axis=0)", "((a_next, xt), axis=0)"), *means), known.arguments())
    assert report.named, report
    assert {finding.kind for finding in report.findings} >= {"averaged instead of summed"}, report
    assert any("a_prev, xt" in finding.right for finding in report.findings), report


def joined(x: Any, h_prev: Any, W: Any, b: Any) -> Any:
    z = np.vstack((h_prev, x))
    h = np.tanh(W @ z + b)
    return h, (z, h, W)


def joined_back(dh: Any, cache: Any) -> Any:
    z, h, W = cache
    da = dh * (1 - h)
    dh_prev = W.T @ da
    return dh_prev, da @ z.T, da.sum(axis=1, keepdims=True)


def test_the_gradient_of_all_that_was_joined_is_told_from_that_of_a_part() -> None:
    example = [np.ones(shape) for shape in ((3, 2), (4, 2), (4, 7), (4, 1))]
    report = check_backward(joined, joined_back, example, returns=("h_prev", "W", "b"))
    assert [(finding.kind, finding.right) for finding in report.findings] == [
        ("not cut out of what was joined", "dh_prev = dh_prev[:4]"),
        ("activation derivative", "da = dh * (1 - h**2)"),
    ], report


def columns(xs: Any, h0: Any, W: Any, U: Any, b: Any) -> Any:
    hs = [h0]
    for x in xs:
        hs.append(np.tanh(x @ W.T + hs[-1] @ U.T + b.T))
    return np.stack(hs[1:]), (xs, hs, W, U)


def columns_back(dhs: Any, cache: Any) -> Any:
    xs, hs, W, U = cache
    dW, dU, db, dh = np.zeros_like(W), np.zeros_like(U), np.zeros((len(U), 1)), np.zeros_like(hs[0])
    for t in reversed(range(len(xs))):
        d = dhs[t] + dh
        dz = d * (1 - hs[t + 1] ** 2)
        db += np.sum(d, axis=0, keepdims=True).T
        dW += dz.T @ xs[t]
        dU = dz.T @ hs[t]
        dh = dz @ U.T
    return dW, dU, db


def test_what_is_summed_and_turned_is_made_of_the_gradient_in_it() -> None:
    example = [np.ones(shape) for shape in ((4, 2, 3), (2, 5), (5, 3), (5, 5), (5, 1))]
    report = check_backward(columns, columns_back, example, returns=("W", "U", "b"))
    assert [finding.right for finding in report.findings] == [
        "db += np.sum(dz, axis=0, keepdims=True).T", "dU += dz.T @ hs[t]", "dh = dz @ U",
    ], report  # fmt: skip
