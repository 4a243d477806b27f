"""Weights that are moved at a rate that is written in the code: the gradients are read for any mistake in them."""

from __future__ import annotations

from typing import Any

import pytest
from derivation_cases import CASES, functions

from minigrad import check_backward
from minigrad.checks.rates import written_rate

LAYER = next(case for case in CASES if case.id == "more_manners:Layer.backward")


@pytest.mark.parametrize(
    ("old", "new", "right"),
    [
        ("1 - self.h**2", "1 - self.h", "da = dh * (1 - self.h**2)"),
        ("1 - self.h**2", "1 + self.h**2", "da = dh * (1 - self.h**2)"),
        ("dh * (1", "2 * dh * (1", "da = dh * (1 - self.h**2)"),
    ],
)
def test_a_mistake_in_all_gradients_is_named_at_a_rate_that_is_written_in_the_code(old: str, new: str, right: str) -> None:
    report = check_backward(*functions(LAYER, (old, new)), LAYER.arguments())
    assert [finding.right for finding in report.findings] == [right], report
    assert "divided by the rate 0.03" in report.notes[0]


def moved(W: Any, b: Any, dW: Any, db: Any) -> None:
    W -= 0.1 * dW
    b[...] = b - db * 0.1


def moved_at_two(W: Any, b: Any, dW: Any, db: Any) -> None:
    W -= 0.1 * dW
    b -= 0.2 * db


def collected(dW: Any, db: Any, dz: Any) -> None:
    dW += 0.5 * dz
    db += (1 - 0.9 * dz) * dz


def with_a_rate(net: Any, dy: Any) -> None:
    net.moved_by(dy, 0.03)


def with_a_rate_by_name(net: Any, dy: Any) -> None:
    net.moved_by(dy, lr=0.03)


def moved_by(self: Any, dy: Any, lr: float) -> None:
    self.W -= lr * dy


def test_a_rate_is_what_is_handed_to_a_function_that_calls_it_one() -> None:
    assert written_rate([with_a_rate, moved_by]) == 0.03
    assert written_rate([with_a_rate_by_name, moved_by]) == 0.03
    assert written_rate([with_a_rate]) is None
    assert written_rate([with_a_rate, moved_by, moved]) is None


def test_a_rate_is_the_one_number_that_is_multiplied_by_what_is_subtracted() -> None:
    assert written_rate([moved]) == 0.1
    assert written_rate([moved_at_two]) is None
    assert written_rate([collected]) is None
    assert written_rate([moved, collected]) == 0.1
    assert written_rate([]) is None


def test_weights_that_move_twice_as_fast_move_at_another_rate() -> None:
    doubled = [(f"0.03 * {what}", f"0.06 * {what}") for what in ("(self.x", "(self.h_prev", "da")]
    assert check_backward(*functions(LAYER, *doubled), LAYER.arguments()).passed
