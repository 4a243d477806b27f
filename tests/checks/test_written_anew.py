"""Lines that no small change makes right, lines that are missing, and lines whose values are right and called otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from derivation_cases import arrays

from minigrad import check_backward


def gate(v: Any) -> Any:
    return 1 / (1 + np.exp(-v))


WEIGHTS = {"Wk": (4, 3), "Uk": (4, 4), "Wv": (4, 3), "Uv": (4, 4)}
NAMES = ("xs", "Wk", "Uk", "Wv", "Uv")


def run(xs: Any, Wk: Any, Uk: Any, Wv: Any, Uv: Any) -> Any:
    """A memory with one gate: m = k m + (1 − k) v, put out through tanh."""
    m, h, ms, kept = np.zeros((4, 2)), np.zeros((4, 2)), [], []
    for x in xs:
        k, v = gate(Wk @ x + Uk @ h), np.tanh(Wv @ x + Uv @ h)
        before, last = m, h
        m = k * m + (1 - k) * v
        h = np.tanh(m)
        ms.append(h)
        kept.append((x, k, v, before, last, m))
    return ms, kept


EXAMPLE = (np.ones((5, 3, 2)), *arrays(**WEIGHTS).values())

SOURCE = """
def back(d_ms, xs, kept, Wk, Uk, Wv, Uv):
    dWk, dUk, dWv, dUv = np.zeros_like(Wk), np.zeros_like(Uk), np.zeros_like(Wv), np.zeros_like(Uv)
    dh_next, dm_next, dxs = np.zeros((4, 2)), np.zeros((4, 2)), np.zeros_like(xs)
    for t in reversed(range(len(kept))):
        x, k, v, before, last, m = kept[t]
        dh = d_ms[t] + dh_next
        dm = dm_next + dh * (1 - np.tanh(m) ** 2)
        dk = dm * (before - v) * k * (1 - k)
        dv = dm * (1 - k) * (1 - v**2)
        dWk += dk @ x.T
        dUk += dk @ last.T
        dWv += dv @ x.T
        dUv += dv @ last.T
        dxs[t] = Wk.T @ dk + Wv.T @ dv
        dm_next = dm * k
        dh_next = Uk.T @ dk + Uv.T @ dv
    return dxs, dWk, dUk, dWv, dUv
"""


@pytest.fixture
def back(tmp_path: Any) -> Callable[..., Any]:
    """The backward pass in a file of its own, with some of its text replaced."""

    def changed(*places: tuple[str, str]) -> Any:
        text = SOURCE
        for old, new in places:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "passes.py"
        path.write_text(text)
        space: dict[str, Any] = {"np": np}
        exec(compile(text, str(path), "exec"), space)
        return space["back"]

    return changed


def rights(backward: Any) -> list[str]:
    return [finding.right for finding in check_backward(run, backward, EXAMPLE, returns=NAMES).findings]


def test_the_pass_is_right(back: Any) -> None:
    assert check_backward(run, back(), EXAMPLE, returns=NAMES).passed


@pytest.mark.parametrize(
    ("was", "wrong", "right"),
    [
        ("dk = dm * (before - v) * k * (1 - k)", "dk = dh * np.tanh(m)", "dk = (dm * before - dm * v) * k * (1 - k)"),
        ("dh_next = Uk.T @ dk + Uv.T @ dv", "dh_next = dm * (1 - k)", "dh_next = Uk.T @ dk + Uv.T @ dv"),
    ],
)
def test_a_line_that_is_altogether_wrong_is_written_anew(back: Any, was: str, wrong: str, right: str) -> None:
    """In the user's words, whatever he wrote there."""
    assert rights(back((was, wrong))) == [right]


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("        dm_next = dm * k\n", "dm_next = dm * k"),
        ("        dh_next = Uk.T @ dk + Uv.T @ dv\n", "dh_next = Uk.T @ dk + Uv.T @ dv"),
    ],
)
def test_a_line_that_is_missing_at_the_end_of_a_loop_is_named(back: Any, line: str, right: str) -> None:
    report = check_backward(run, back((line, "")), EXAMPLE, returns=NAMES)
    assert [(f.kind, f.right) for f in report.findings] == [("state gradient not carried", right)], report


def test_a_gradient_that_goes_on_as_it_is_lacks_a_line(back: Any) -> None:
    """What is handed to the step before is the gradient of this step's state, without its way through the step."""
    places = (("dm_next + dh * ", "dm + dh * "), ("dm_next, dxs", "dm, dxs"), ("        dm_next = dm * k\n", ""))
    report = check_backward(run, back(*places), EXAMPLE, returns=NAMES)
    assert [(f.kind, f.right) for f in report.findings] == [("factor missing", "dm = dm * k")], report
    assert "goes on to the step before as it is" in report.findings[0].missing


def test_a_line_over_several_lines_is_looked_into(back: Any) -> None:
    long = "dh_next = (\n            Uk.T @ dk\n            + Uv.T @ dk\n        )"
    assert rights(back(("dh_next = Uk.T @ dk + Uv.T @ dv", long))) == ["dh_next = ( Uk.T @ dk + Uv.T @ dv )"]


def test_what_is_0_at_the_last_step_can_be_what_is_wrong(back: Any) -> None:
    assert rights(back(("dk = dm * (before", "dk = dm_next * (before"))) == ["dk = dm * (before - v) * k * (1 - k)"]


def test_a_line_whose_value_is_called_as_another_gradient_is_the_one_that_is_named(back: Any) -> None:
    """Not the next, which computes with it and could make up for it."""
    apart = ("dv = dm * (1 - k) * (1 - v**2)", "dv = dm\n        dv_sum = dv * (1 - v**2)")
    assert rights(back(apart, ("dv @", "dv_sum @"), ("@ dv", "@ dv_sum"))) == ["dv = dm * (1 - k)"]


def test_a_value_that_another_line_has_already_is_the_one_that_is_named(back: Any) -> None:
    apart = "to_m = dm * before\n        to_v = dm * before\n        dk = (to_m - to_v) * k * (1 - k)"
    found = rights(back(("dk = dm * (before - v) * k * (1 - k)", apart)))
    assert found == ["to_v = dm * v"], found


def test_the_derivative_of_a_step_is_no_gradient_though_it_is_called_one(back: Any) -> None:
    slope = "dh_dm = 1 - np.tanh(m) ** 2\n        dm = dm_next + dh * dh_dm"
    called = back(("dm = dm_next + dh * (1 - np.tanh(m) ** 2)", slope), ("dm_next = dm * k", "dm_next = dm"))
    assert rights(called) == ["dm_next = dm * k"]
