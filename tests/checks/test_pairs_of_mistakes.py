"""Two mistakes and three in one backward pass, planted in what derive writes: each is named by its line, and by no detour."""

from __future__ import annotations

import pytest
from planting.layouts import LAYOUTS, laid_out
from planting.mistakes import KINDS, planted
from planting.subjects import CELLS, derived

from minigrad import check_backward
from minigrad.checks import Report

NAMES = {kind.name: kind for kind in KINDS}


def report_of(cell: str, layout: str, *mistakes: tuple[str, str]) -> Report:
    """What is said of a cell's backward pass with the mistakes of these names whose lines are written so."""
    program = derived(CELLS[cell])
    for name, text in mistakes:
        program = next(mistake for mistake in planted(program, NAMES[name]) if text in mistake.said).program
    laid = laid_out(program, next(known for known in LAYOUTS if known.name.replace(",", "") == layout))
    return check_backward(laid.forward, laid.backward, laid.arguments, seed=1)


@pytest.mark.parametrize(
    ("cell", "layout", "mistakes", "right"),
    [
        (  # with T = 1 no step is done at all, so no correction of another line changes anything
            "rnn",
            "rows apart dict",
            [("activation derivative without the square", ""), ("last step skipped", "")],
            ["for t in range(len(steps), 0, -1):", "da_h = dh * (1 - h**2)"],
        ),
        (
            "gated rnn",
            "columns stacked tuple",
            [("brackets missing, written out", "ds_tilde = "), ("first step skipped", "")],
            ["for t in range(len(steps), 0, -1):", "ds_tilde = (dhs[t - 1] + ds_next) * g"],
        ),
        (  # not "dh += dh * (-f) + …", which is the same
            "MinimalGated",
            "columns apart tuple",
            [("state gradient accumulated", ""), ("factor too many", "dh = d_hs")],
            ["dh = dhs[t - 1] + dh", "dh = dh * (1 - f) + dk * f + U_f.T @ da_f"],
        ),
        (  # the line without its condition, not "if True:"
            "lstm",
            "columns apart tuple",
            [("first step only", "b_g"), ("1 − z for z", "dtanh_c = dh * (1 - o)")],
            ["dtanh_c = dh * o", "db_g += da_g.sum(axis=1, keepdims=True)"],
        ),
        (
            "rnn",
            "rows apart dict",
            [("bias averaged", ""), ("factor 2", "b_h")],
            ["db_h += da_h.sum(axis=0)"],
        ),
        (  # what arrives from outside is not read at all
            "lstm",
            "rows apart dict",
            [("activation derivative missing", "da_g"), ("path missing", "dh = d_hs")],
            ["dh = dh + dhs[t - 1]", "da_g = dg * (1 - g**2)"],
        ),
        (  # lines that give a part of a gradient, since both states' gradients are lost, before the one that gives none
            "lstm",
            "columns stacked tuple",
            [("sign", "da_o ="), ("state gradient not carried", "no state")],
            ["dh += dhs[t - 1]", "dc += dtanh_c * (1 - tanh_c ** 2)", "da_o = do * o * (1 - o)"],
        ),
        (  # what is overwritten gives a gradient, and only what joins it with the others gives none
            "lstm",
            "rows stacked tuple",
            [("activation derivative without the square", "dc = dtanh_c"), ("overwritten, not accumulated", "W_ox")],
            ["dc = dtanh_c * (1 - tanh_c**2) + dc", "dW_ox += da_o.T @ x"],
        ),
        (  # the steps that come first are wrong whatever is corrected in them
            "rnn",
            "columns stacked dict",
            [("activation derivative without the square", ""), ("loop in the wrong direction", "")],
            ["for t in reversed(range(1, len(steps) + 1)):", "da_h = dh * (1 - h**2)"],
        ),
        (  # with T = 1 no step is done: before that, no name is looked at
            "MinimalGated",
            "columns apart tuple",
            [("first step skipped", ""), ("factor missing", "dh_hat = dh * f")],
            ["for t in range(len(steps), 0, -1):", "dh_hat = dh * f"],
        ),
        (  # W_hh, not W_b, of which it is the only part
            "rnn",
            "columns stacked tuple",
            [("activation derivative missing", ""), ("matrix not transposed", "")],
            ["da_h = dh * (1 - h**2)", "dh = W_hh.T @ da_h"],
        ),
        (  # every line gives gradients at the last steps
            "gru",
            "rows stacked tuple",
            [
                ("index −1 wraps round", "W_uh"),
                ("wrong accumulator", "dp['b_r'] += da_u"),
                ("path missing", "→ dxs[t - 1] = da_u @ W_ux + da_r @ W_rx"),
            ],
            [
                "dW_uh += da_u.T @ h_prev",
                "db_u += da_u.sum(axis=0)",
                "dxs[t - 1] = da_u @ W_ux + da_r @ W_rx + da_c_tilde @ W_cx",
            ],
        ),
    ],
)
def test_each_is_named_by_its_line(cell: str, layout: str, mistakes: list[tuple[str, str]], right: list[str]) -> None:
    report = report_of(cell, layout, *mistakes)
    assert [finding.right for finding in report.findings] == right, report


def test_what_does_not_run_in_the_longest_trial_is_no_progress() -> None:
    """Fewer lines run there, so fewer are wrong; and an array that is added to itself explains a factor of 2 alone."""
    report = report_of("rnn", "columns apart tuple", ("brackets missing, written out", ""), ("last step skipped", ""))
    assert [finding.kind for finding in report.findings] == ["a step is skipped", "operator precedence"], report
